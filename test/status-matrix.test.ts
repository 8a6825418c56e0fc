import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import {
  type Cell,
  EXCEPTIONS,
  nameOf,
  renderStatusMatrix,
  walkStatusMatrix,
} from './support/status-matrix.ts';
import { isRecorded, TRIALS } from './support/trials.ts';

const PAGE = join(import.meta.dirname, '..', 'docs', 'reference', 'status-matrix.md');

describe('every route, asked for what it must refuse', () => {
  let cells: readonly Cell[];
  before(async () => {
    cells = await walkStatusMatrix();
  });

  it('answers what its row of the route table promises', () => {
    const wrong = cells
      .filter((cell) => {
        const exception = EXCEPTIONS[nameOf(cell)];
        const promised = exception === undefined ? cell.trial.expected(cell.route) : [exception.status];
        return !promised.includes(cell.status);
      })
      .map(
        (cell) => `${nameOf(cell)} answered ${cell.status}, not ${cell.trial.expected(cell.route).join('/')}`,
      );
    assert.deepEqual(wrong, []);
  });

  it('was asked in every way, each of which some routes know', () => {
    assert.ok(cells.length > 250, `only ${cells.length} requests were sent`);
    for (const trial of TRIALS) {
      const tried = cells.filter((cell) => cell.trial === trial).length;
      assert.ok(tried >= 3, `"${trial.name}" was tried on ${tried} routes`);
    }
    const names = new Set(cells.map(nameOf));
    assert.deepEqual(
      Object.keys(EXCEPTIONS).filter((name) => !names.has(name)),
      [],
    );
  });

  it('leaves one entry with the status of the answer', () => {
    for (const cell of cells) {
      // An effect that began has an entry of its start before the one that tells how it went.
      const statuses = cell.entries.filter(({ phase }) => phase !== 'start').map(({ http }) => http?.status);
      assert.deepEqual(statuses, isRecorded(cell.route, cell.status) ? [cell.status] : [], nameOf(cell));
    }
  });

  it('names the methods of a path to whoever used another', () => {
    for (const { trial, route, allow } of cells) {
      if (trial.name === 'method') assert.ok(allow?.split(', ').includes(route.method), route.path);
    }
  });

  it('is described by the reference page', async () => {
    const page = await readFile(PAGE, 'utf8');
    assert.equal(page, renderStatusMatrix(cells), 'run: npm run docs');
  });
});
