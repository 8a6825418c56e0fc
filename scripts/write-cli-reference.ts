import { writeFile } from 'node:fs/promises';
import { cliReference } from '../src/cli/reference.ts';
import { createFakeAccess, createTestIo } from '../src/cli/testing.ts';
import { createCli } from '../src/cli/cli.ts';

const { program } = createCli({
  access: createFakeAccess(() => undefined),
  io: createTestIo(),
  version: '0',
});
await writeFile(new URL('../docs/reference/cli.md', import.meta.url), cliReference(program));
