import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { isProblem } from '../../kernel/problem.ts';
import { auditProblems } from '../problems.ts';
import { edgeTiles, encodeTile, TILE_WIDTH, tilePath } from '../tile.ts';
import {
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  nodeHash,
  rangeHash,
  type Subtree,
  verifyConsistency,
  verifyInclusion,
} from '../tree.ts';
import { createProver } from './prover.ts';

/** Three levels of tiles, each with a partial one. */
const SIZE = 65_536 + 256 * 3 + 44;

/** Every node of the tree, bottom up: what a prover without tiles would hold. */
const rows: Uint8Array[][] = [Array.from({ length: SIZE }, (_, at) => leafHash(Buffer.from(`entry ${at}`)))];
for (let row = rows[0] as Uint8Array[]; row.length > 1; ) {
  row = Array.from({ length: Math.floor(row.length / 2) }, (_, at) =>
    nodeHash(row[2 * at] as Uint8Array, row[2 * at + 1] as Uint8Array),
  );
  rows.push(row);
}
const subtree: Subtree = (level, index) => {
  const hash = rows[level]?.[index];
  assert.ok(hash, `there is no node ${index} on level ${level}`);
  return hash;
};
const rootAt = (size: number): Uint8Array => rangeHash(0, size, subtree);
const runs = { numRuns: 150 };

let directory: string;

async function write(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(join(directory, path)), { recursive: true });
  await writeFile(join(directory, path), bytes);
}

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'modelkeep-prover-'));
  for (let level = 0; level * 8 < rows.length; level++) {
    const row = rows[level * 8] as Uint8Array[];
    for (let index = 0; (index + 1) * TILE_WIDTH <= row.length; index++)
      await write(
        tilePath(level, index),
        encodeTile(row.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH)),
      );
  }
  for (const { level, index, width } of edgeTiles(SIZE)) {
    const row = rows[level * 8] as Uint8Array[];
    const hashes = row.slice(index * TILE_WIDTH, index * TILE_WIDTH + width);
    await write(tilePath(level, index, width), encodeTile(hashes));
  }
});
after(() => rm(directory, { recursive: true }));

describe('the prover', () => {
  it('proves any entry in any size up to the last, as the tree in memory does', async () => {
    const prover = createProver({ directory });
    const cases = fc
      .integer({ min: 1, max: SIZE })
      .chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: 0, max: size - 1 })));
    await fc.assert(
      fc.asyncProperty(cases, async ([size, index]) => {
        const proof = await prover.inclusion(index, size);
        assert.deepEqual(proof, [...inclusionProof(index, size, subtree)]);
        assert.ok(verifyInclusion(index, size, subtree(0, index), proof, rootAt(size)));
      }),
      runs,
    );
  });

  it('proves the corners of tiles and of the tree', async () => {
    const prover = createProver({ directory });
    for (const size of [1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, SIZE - 1, SIZE]) {
      for (const index of new Set([0, 1, 255, 256, size >> 1, size - 2, size - 1])) {
        if (index < 0 || index >= size) continue;
        const proof = await prover.inclusion(index, size);
        assert.ok(
          verifyInclusion(index, size, subtree(0, index), proof, rootAt(size)),
          `entry ${index} of ${size}`,
        );
      }
      assert.deepEqual(await prover.root(size), rootAt(size));
    }
    assert.deepEqual(await prover.root(0), EMPTY_ROOT);
  });

  it('proves that any size grew out of any smaller one', async () => {
    const prover = createProver({ directory });
    const cases = fc
      .integer({ min: 1, max: SIZE })
      .chain((to) => fc.tuple(fc.integer({ min: 1, max: to }), fc.constant(to)));
    await fc.assert(
      fc.asyncProperty(cases, async ([from, to]) => {
        const proof = await prover.consistency(from, to);
        assert.deepEqual(proof, [...consistencyProof(from, to, subtree)]);
        assert.ok(verifyConsistency(from, to, rootAt(from), rootAt(to), proof));
      }),
      runs,
    );
  });

  it('answers many at once from a cold start', async () => {
    const prover = createProver({ directory });
    const proofs = await Promise.all(
      Array.from({ length: 300 }, (_, at) => prover.inclusion(at * 220, SIZE)),
    );
    proofs.forEach((proof, at) =>
      assert.ok(verifyInclusion(at * 220, SIZE, subtree(0, at * 220), proof, rootAt(SIZE))),
    );
  });

  it('takes the full tile where the partial one has gone, and sees a tile that grew', async () => {
    const prover = createProver({ directory });
    const index = 65_536 + 256 * 3 + 2;
    const size = index + 1;
    const [edge] = edgeTiles(SIZE);
    assert.ok(edge);
    const partial = join(directory, tilePath(0, edge.index, edge.width));
    await write(tilePath(0, edge.index, 3), encodeTile((rows[0] ?? []).slice(index - 2, index + 1)));
    assert.deepEqual(await prover.root(size), rootAt(size));
    assert.deepEqual(await prover.inclusion(index, SIZE), [...inclusionProof(index, SIZE, subtree)]);
    await rm(join(directory, tilePath(0, edge.index, 3)));

    const hidden = join(directory, 'hidden');
    await rename(join(directory, tilePath(0, 1)), hidden);
    await assert.rejects(createProver({ directory }).inclusion(300, 310), /there is no tile\/0\/001 /);
    await write(`${tilePath(0, 1)}.p/60`, encodeTile((rows[0] ?? []).slice(256, 316)));
    assert.deepEqual(await createProver({ directory }).inclusion(300, 310), [
      ...inclusionProof(300, 310, subtree),
    ]);
    await rm(join(directory, `${tilePath(0, 1)}.p`), { recursive: true });
    await rename(hidden, join(directory, tilePath(0, 1)));
    assert.ok((await readdir(dirname(partial))).includes(String(edge.width)));
  });

  it('refuses places that are not in the tree', async () => {
    const prover = createProver({ directory });
    for (const [index, size] of [
      [5, 5],
      [-1, 5],
      [0, 0],
      [0.5, 5],
      [0, Number.NaN],
      [0, 2 ** 53],
    ] as const)
      await assert.rejects(prover.inclusion(index, size), RangeError, `${index} of ${size}`);
    for (const [from, to] of [
      [0, 5],
      [6, 5],
      [-1, 5],
      [1, Number.POSITIVE_INFINITY],
    ] as const)
      await assert.rejects(prover.consistency(from, to), RangeError, `${from} to ${to}`);
    await assert.rejects(prover.root(-1), RangeError);
  });

  it('names a tile that is missing, cut short or too long', async () => {
    const isCorrupt = (error: unknown): boolean => isProblem(error, auditProblems.log_corrupt);
    await assert.rejects(createProver({ directory }).inclusion(0, SIZE + 1), isCorrupt);
    const row = (rows[0] ?? []).slice(0, TILE_WIDTH);
    for (const bytes of [encodeTile(row).subarray(1), encodeTile([...row, EMPTY_ROOT]), new Uint8Array()]) {
      await write(tilePath(0, 0), bytes);
      await assert.rejects(
        createProver({ directory }).inclusion(3, SIZE),
        /tile\/0\/000 does not hold 256 hashes/,
      );
    }
    await write(tilePath(0, 0), encodeTile(row.with(9, EMPTY_ROOT)));
    const proof = await createProver({ directory }).inclusion(8, SIZE);
    assert.ok(!verifyInclusion(8, SIZE, subtree(0, 8), proof, rootAt(SIZE)), 'a wrong hash shows');
    await write(tilePath(0, 0), encodeTile(row));
  });
});
