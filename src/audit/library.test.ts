import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');
const PAGE = join(ROOT, 'docs', 'reference', 'library-audit.md');

test('the program on the page of the library is the example that it names, and prints what the page says', async () => {
  const page = await readFile(PAGE, 'utf8');
  const [, path = '', code, output] =
    /```ts (\S+)\n([\s\S]*?)```\n\nIt prints:\n\n```text\n([\s\S]*?)```/.exec(page) ?? [];
  assert.equal(page.match(/^```ts/gm)?.length, 1);
  const example = await readFile(join(ROOT, path), 'utf8');
  assert.equal(example.replace("'../../src/audit/library.ts'", "'modelkeep/audit'"), code);
  const { stdout, stderr } = await run(process.execPath, [join(ROOT, path)]);
  assert.deepEqual({ stdout, stderr }, { stdout: output, stderr: '' });
});

test('the page of the library names every function that the library has', async () => {
  const page = await readFile(PAGE, 'utf8');
  const names = Object.keys(await import('./library.ts'));
  assert.ok(names.length > 15);
  assert.deepEqual(
    names.filter((name) => !page.includes(`\`${name}`)),
    [],
  );
});
