import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { glob } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { PROBLEMS, renderProblemsReference } from './problem-tables.ts';

const ROOT = join(import.meta.dirname, '..', '..');

it('the reference of problem codes is what the tables say', async () => {
  const page = await readFile(join(ROOT, 'docs', 'reference', 'problems.md'), 'utf8');
  assert.equal(page, renderProblemsReference());
});

it('every code is given once, and every table of failures is in the list', async () => {
  const codes = PROBLEMS.map(({ code }) => code);
  assert.equal(new Set(codes).size, codes.length);
  const rooms = new Set(codes.map((code) => code.split('.')[0]));
  let tables = 0;
  for await (const file of glob('src/**/*.ts', { cwd: ROOT })) {
    if (/\.test\.ts$|memory-gate\.ts$|kernel\/problem\.ts$/.test(file)) continue;
    const text = await readFile(join(ROOT, file), 'utf8');
    for (const [, room] of text.matchAll(/defineProblems\(\s*'(\w+)'/g)) {
      tables++;
      assert.ok(rooms.has(room), `${file}: the table of "${room}" is not in the list`);
    }
  }
  assert.ok(tables >= 10, `only ${tables} tables were seen`);
});
