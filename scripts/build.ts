import { execFileSync } from 'node:child_process';
import { chmod, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Compiles src/ to dist/ for publishing: plain JavaScript and declarations, `.ts` imports rewritten to `.js`. */
const root = join(import.meta.dirname, '..');
await rm(join(root, 'dist'), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
const main = join(root, 'dist/main.js');
const text = await readFile(main, 'utf8');
if (!text.startsWith('#!')) await writeFile(main, `#!/usr/bin/env node\n${text}`);
await chmod(main, 0o755);
