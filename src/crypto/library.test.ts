import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { chmod, glob, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from './testing.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): Promise<string> => readFile(join(ROOT, path), 'utf8');

/** The programs of the page, each with what it says that the program prints. */
const PROGRAM = /```ts (\S+)\n([\s\S]*?)```\n\nIt prints:\n\n```text\n([\s\S]*?)```/g;

test('each program on the page of the library is the example that it names, and prints what the page says', async (t) => {
  const page = await read('docs/reference/library-crypto.md');
  const programs = [...page.matchAll(PROGRAM)].map(([, path = '', code = '', output = '']) => ({
    path,
    code,
    output,
  }));
  const examples = await Array.fromAsync(glob('examples/crypto/*.ts', { cwd: ROOT }));
  assert.deepEqual(programs.map(({ path }) => path).toSorted(), examples.toSorted());
  assert.equal(programs.length, page.match(/^```ts/gm)?.length);
  await Promise.all(
    programs.map(async ({ path, code, output }) => {
      const example = await read(path);
      assert.equal(example.replace("'../../src/crypto/library.ts'", "'modelkeep/crypto'"), code, path);
      const cwd = await temporaryDirectory(t);
      const { stdout, stderr } = await run(process.execPath, [join(ROOT, path)], { cwd });
      assert.deepEqual({ stdout, stderr }, { stdout: output, stderr: '' }, path);
    }),
  );
});

test('the page of the library names every function that the library has', async () => {
  const page = await read('docs/reference/library-crypto.md');
  const names = Object.keys(await import('./library.ts'));
  assert.ok(names.length > 15);
  assert.deepEqual(
    names.filter((name) => !page.includes(`\`${name}`)),
    [],
  );
});

test('the local steps of the guide for pipelines run', async (t) => {
  const page = await read('docs/how-to/encrypt-in-a-pipeline.md');
  const blocks = [...page.matchAll(/```sh run\n([\s\S]*?)```/g)].map(([, commands]) => commands ?? '');
  assert.equal(blocks.length, 5);
  const place = await temporaryDirectory(t);
  const shim = join(place, 'modelkeep');
  await writeFile(shim, `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'src', 'main.ts')}" "$@"\n`);
  await chmod(shim, 0o755);
  const script = `set -eu\n${blocks.join('\n')}\ncat dsn; echo; cat training.csv`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: `${place}${delimiter}${process.env['PATH'] ?? ''}`, HOME: place, TMPDIR: place },
  });
  assert.equal(status, 0, stderr);
  assert.equal(stdout, 'postgres://etl:hunter2@db/prod\nid,amount\n1,99.50\n');
});
