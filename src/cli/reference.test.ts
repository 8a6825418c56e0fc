import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { createCli } from './cli.ts';
import { cliReference, commandsOf, nameOf } from './reference.ts';
import { createFakeAccess, createTestIo, runCli } from './testing.ts';

const { program } = createCli({
  access: createFakeAccess(() => undefined),
  io: createTestIo(),
  version: '0',
});
const page = new URL('../../docs/reference/cli.md', import.meta.url);

describe('docs/reference/cli.md', () => {
  it('is what the command tree says; after a change run: node scripts/write-cli-reference.ts', async () => {
    assert.equal(await readFile(page, 'utf8'), cliReference(program));
  });

  it('has a section for each command, and a command for each section', async () => {
    const sections = [...(await readFile(page, 'utf8')).matchAll(/^## (.+)$/gm)].map(([, name]) => name);
    assert.deepEqual(sections.slice(1), commandsOf(program).map(nameOf));
    assert.ok(sections.length > 50, `${sections.length} sections`);
  });
});

describe('the manual', () => {
  for (const command of commandsOf(program)) {
    const name = nameOf(command);
    it(`has an example of: ${name}, and no two options of one name`, async () => {
      const { code, out, err } = await runCli(['help', ...name.split(' ')]);
      // `help users list` shows the group: commander looks up one word.
      const help = name.includes(' ') ? (await runCli([...name.split(' '), '--help'])).out : out;
      assert.equal(code, 0, err);
      assert.match(help, /\nExamples?:\n {2}\$ .*modelkeep /);
      assert.match(help, /--json/);
      assert.ok(help.includes(name.split(' ').at(-1) ?? ''));
      const own = command.options.map((option) => option.long);
      const global = program.options.map((option) => option.long);
      assert.deepEqual(
        own.filter((long) => global.includes(long)),
        [],
        'a global option would swallow it',
      );
    });
  }

  it('has only examples that the program accepts', async () => {
    const reference = cliReference(program);
    let seen = 0;
    for (const command of commandsOf(program)) {
      for (const line of examplesIn(reference, nameOf(command))) {
        await parse(line);
        seen++;
      }
    }
    assert.ok(seen >= commandsOf(program).length, `${seen} examples`);
    await assert.rejects(parse(['users', 'list', '--colour']), /unknown option/);
  });
});

/** Parses a line and does nothing; rejects if the program would not take it. */
async function parse(line: readonly string[]): Promise<void> {
  const { program } = createCli({
    access: createFakeAccess(() => undefined),
    io: createTestIo(),
    version: '0',
  });
  for (const command of commandsOf(program)) command.action(() => {});
  await program.parseAsync(line, { from: 'user' });
}

/** The words after `modelkeep` of the example lines in a command's section. */
function examplesIn(reference: string, name: string): string[][] {
  const section = reference.split(`\n## ${name}\n`)[1]?.split('\n## ')[0] ?? '';
  const lines = /```sh\n([^`]*)```/.exec(section)?.[1]?.split('\n') ?? [];
  return lines
    .filter((line) => line.includes('modelkeep '))
    .map((line) => line.slice(line.indexOf('modelkeep ') + 'modelkeep '.length).split(/ [<>|] /)[0] ?? '')
    .map((line) => (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', '')));
}
