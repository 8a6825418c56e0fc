import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { createTestSource, indicesOf, newIndexFile, withIndex } from './harness.ts';
import { CHECK_BYTES, packNumbers } from './numbers.ts';
import { createKeyOf } from './terms.ts';

/** The term as the index holds it until the block is full. */
function keyIn(file: string, term: string): Buffer {
  const database = new DatabaseSync(file, { readOnly: true });
  const seed = Number(database.prepare('select seed from meta').get()?.['seed']);
  database.close();
  return Buffer.from(packNumbers([createKeyOf(seed)(term)]).subarray(CHECK_BYTES));
}

describe('sealed addresses', () => {
  it('are found while they can be revealed, and gone from the file once they are forgotten', async () => {
    const source = createTestSource();
    const file = await newIndexFile();
    const addresses = new Map([
      ['sealed-1', '192.0.2.77'],
      ['sealed-2', '192.0.2.78'],
    ]);
    const reveal = (entry: (typeof source.rows)[number]['entry']) => {
      const { source: sealed, ...rest } = entry;
      const address = addresses.get(sealed?.address ?? '');
      return address === undefined ? rest : { ...rest, source: { address, port: 1 } };
    };
    source.add(
      { source: { address: 'sealed-1', port: 1 } },
      { source: { address: 'sealed-2', port: 1 } },
      { source: { address: 'sealed-1', port: 1 } },
    );
    const holds = async (key: Buffer): Promise<boolean> => {
      const parts = await Promise.all(
        [file, `${file}-wal`].map((path) => readFile(path).catch(() => Buffer.of())),
      );
      return Buffer.concat(parts).includes(key);
    };
    await withIndex({ source, file, reveal }, async (index) => {
      await index.settle();
      const { entries } = await index.search({ source: '192.0.2.77' });
      assert.deepEqual(
        entries.map((row) => [row.index, row.entry.source?.address]),
        [
          [2, '192.0.2.77'],
          [0, '192.0.2.77'],
        ],
      );
      const key = keyIn(file, 's=192.0.2.77');
      assert.equal(await holds(key), true);
      addresses.delete('sealed-1');
      assert.deepEqual(await indicesOf(index, { source: '192.0.2.77' }), [], 'even before the index forgets');
      await index.forget('2026-01');
      assert.equal(await holds(key), false);
      await index.settle();
      for (const each of [key, keyIn(file, 's=192.0.2.77'), Buffer.from('192.0.2.77')])
        assert.equal(await holds(each), false);
      assert.equal(await holds(keyIn(file, 's=192.0.2.78')), true);
      assert.deepEqual(await indicesOf(index, { source: '192.0.2.77' }), []);
      assert.deepEqual(await indicesOf(index, { source: '192.0.2.78' }), [1]);
      assert.equal((await indicesOf(index, { principal: 'ada' })).length, 3);
    });
  });

  it('do not come back with a batch that was read before they were forgotten', async () => {
    const source = createTestSource();
    source.add(...Array.from({ length: 1200 }, () => ({ source: { address: 'secret', port: 1 } })));
    let isKnown = true;
    const reveal = (entry: (typeof source.rows)[number]['entry']) => {
      const { source: sealed, ...rest } = entry;
      return isKnown && sealed !== undefined ? { ...rest, source: sealed } : rest;
    };
    const file = await newIndexFile();
    await withIndex({ source, file, reveal, tuning: { batch: 300 } }, async (index) => {
      const settling = index.settle().catch(() => {});
      await source.read(0, 1);
      isKnown = false;
      await index.forget('2026-01');
      await settling;
      await index.settle();
      assert.equal(index.status().indexed, 1200);
      const bytes = Buffer.concat([
        await readFile(file),
        await readFile(`${file}-wal`).catch(() => Buffer.of()),
      ]);
      assert.equal(bytes.includes(keyIn(file, 'p=ada')), true);
      assert.equal(bytes.includes(keyIn(file, 's=secret')), false);
      assert.equal(bytes.includes('secret'), false);
    });
  });
});
