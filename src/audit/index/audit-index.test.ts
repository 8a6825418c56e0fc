import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import type { AuditIndex } from './audit-index.ts';
import {
  allOf,
  createTestLog,
  createTestSource,
  indicesOf,
  newIndexFile,
  START,
  type TestSource,
  withIndex,
} from './harness.ts';
import { BLOCK } from './positions.ts';
import { HOUR_MS } from './protocol.ts';
import type { IndexQuery } from './query.ts';

const many = (count: number, principal = 'ada'): { principal: { kind: 'user'; name: string } }[] =>
  Array.from({ length: count }, () => ({ principal: { kind: 'user', name: principal } }));

/** Every page, from the newest entry down. */
async function walk(index: AuditIndex, query: IndexQuery, between: () => void = () => {}): Promise<number[]> {
  const found: number[] = [];
  for (let before: number | undefined; ; ) {
    const page = await index.search({ ...query, ...(before !== undefined && { before }) });
    found.push(...page.entries.map((row) => row.index));
    if (page.before === undefined) return found;
    assert.ok(before === undefined || page.before < before, 'each page goes further down');
    before = page.before;
    between();
  }
}

async function filled(count = 600): Promise<{ source: TestSource; file: string }> {
  const source = createTestSource();
  source.add(...many(count));
  return { source, file: await newIndexFile() };
}

describe('paging', () => {
  it('loses and repeats nothing while the log grows', async () => {
    const source = createTestSource();
    source.add(...many(700), ...many(3, 'bob'), ...many(350));
    await withIndex({ source }, async (index) => {
      for (const limit of [1, 7, 256, 1000]) {
        const size = source.size();
        const query = { principal: 'ada', limit: limit === 1 ? 97 : limit };
        const expected = source.rows
          .filter(({ entry }) => entry.principal.name === 'ada')
          .map((row) => row.index)
          .toReversed();
        const found = await walk(index, query, () => source.add(...many(2), ...many(1, 'bob')));
        assert.equal(
          expected.length > 0 && found[0],
          size - 1 - (source.rows[size - 1]?.entry.principal.name === 'bob' ? 1 : 0),
        );
        assert.deepEqual(found, expected);
      }
    });
  });

  it('comes to the end through pages without a match', async () => {
    const source = createTestSource();
    source.add(...many(1, 'bob'), ...many(2000));
    await withIndex({ source, tuning: { catchUpMax: 0, scanMax: 256 } }, async (index) => {
      const page = await index.search({ principal: 'bob' });
      assert.deepEqual(page.entries, []);
      assert.equal(page.before, 2001 - 256);
      assert.deepEqual(await walk(index, { principal: 'bob' }), [0]);
    });
  });
});

describe('an index', () => {
  it('shows an entry at once, before it is indexed', async () => {
    const source = createTestSource();
    await withIndex({ source }, async (index) => {
      for (let at = 0; at < 5; at++) {
        source.add({ action: 'user.create' });
        assert.equal((await indicesOf(index, { action: 'user.create' }))[0], at);
      }
      assert.equal(index.status().indexed, 0);
    });
  });

  it('reads only what it found, once it is up to date', async () => {
    const { source } = await filled(3000);
    source.add(...many(2, 'bob'));
    await withIndex({ source }, async (index) => {
      await index.settle();
      const before = source.reads();
      assert.deepEqual(await indicesOf(index, { principal: 'bob' }), [3001, 3000]);
      assert.deepEqual(await indicesOf(index, { principal: 'nobody' }), []);
      assert.equal(source.reads() - before, 2);
    });
  });

  it('goes on where it ended, and reads nothing twice', async () => {
    const { source, file } = await filled();
    await withIndex({ source, file }, (index) => index.settle());
    source.add(...many(5, 'bob'));
    const before = source.reads();
    await withIndex({ source, file }, async (index) => {
      await index.settle();
      assert.equal(source.reads() - before, 6, 'five new entries, and the last one it had');
      assert.equal((await indicesOf(index, { principal: 'bob' })).length, 5);
      assert.equal((await index.stats(allOf())).total, 605);
    });
  });

  it('replays exactly what a crash took', async () => {
    const { source, file } = await filled(100);
    await withIndex({ source, file, tuning: { batch: 10 } }, (index) => index.settle());
    const database = new DatabaseSync(file);
    // What a rolled-back transaction leaves: everything of it is gone, the cursor too.
    database.exec('begin');
    database.exec(
      "update meta set applied = 110, leaf = 'x'; insert into recent values (100, x'00'); delete from tally",
    );
    database.close();
    source.add(...many(50));
    await withIndex({ source, file, tuning: { batch: 10 } }, async (index) => {
      await index.settle();
      assert.equal((await indicesOf(index, { principal: 'ada', limit: 1000 })).length, 150);
      assert.equal((await index.stats(allOf())).total, 150);
    });
  });

  it('holds all of a batch or nothing', async () => {
    const source = createTestSource();
    source.add(...many(20));
    let isFull = true;
    await withIndex({ source, mayWrite: () => !isFull }, async (index) => {
      await assert.rejects(index.settle(), /disk is too full/);
      assert.equal(index.status().indexed, 0);
      assert.equal(index.status().failures, 1);
      assert.equal((await indicesOf(index, { principal: 'ada' })).length, 20, 'the log is read instead');
      isFull = false;
      await index.settle();
      assert.equal(index.status().indexed, 20);
    });
  });
});

describe('an index that is not of this log', () => {
  const rebuilt = async (source: TestSource, file: string, origin = 'keep.test/audit'): Promise<unknown> => {
    const log = createTestLog();
    await withIndex({ source, file, origin, log }, async (index) => {
      await index.settle();
      assert.equal((await indicesOf(index, { limit: 1000 })).length, source.size());
      assert.equal((await index.stats(allOf())).total, source.size());
      assert.deepEqual(await indicesOf(index, { principal: 'ada', limit: 2 }), [
        source.size() - 1,
        source.size() - 2,
      ]);
    });
    return log.lines.find(({ event }) => event === 'audit.index_rebuilt')?.fields?.['reason'];
  };

  it('is thrown away when it is ahead of the log', async () => {
    const { source, file } = await filled();
    await withIndex({ source, file }, (index) => index.settle());
    const shorter = createTestSource();
    shorter.add(...many(10));
    assert.equal(await rebuilt(shorter, file), 'it holds 600 entries and the log 10');
  });

  it('is thrown away when the log was restored and grew another way', async () => {
    const { source, file } = await filled(20);
    await withIndex({ source, file }, (index) => index.settle());
    const fork = createTestSource();
    fork.add(...many(19), ...many(1, 'bob'), ...many(4));
    assert.equal(await rebuilt(fork, file), "its entry 19 is not the log's");
  });

  it('is thrown away when it has another origin or another version', async () => {
    const { source, file } = await filled(20);
    await withIndex({ source, file }, (index) => index.settle());
    assert.equal(await rebuilt(source, file, 'other.test/audit'), 'it belongs to the log keep.test/audit');
    const database = new DatabaseSync(file);
    database.exec('pragma user_version = 99');
    database.close();
    assert.equal(await rebuilt(source, file), 'it has version 99');
  });

  it('is thrown away when it is no database, or a damaged one', async () => {
    const { source, file } = await filled();
    await writeFile(
      file,
      'this is not a database, and long enough to be looked at as if it were one'.repeat(20),
    );
    assert.match(String(await rebuilt(source, file)), /^it is damaged: .*not a database/);
    const bytes = await readFile(file);
    const flip = Buffer.from(bytes);
    flip.fill(0xa5, 8192, Math.min(bytes.length, 8192 * 8));
    await writeFile(file, flip);
    assert.match(String(await rebuilt(source, file)), /^it is damaged: /);
    await writeFile(file, bytes.subarray(0, bytes.length - 8192));
    assert.match(String(await rebuilt(source, file)), /^it is damaged: /);
  });

  it('is thrown away when its last block, which is read when it is opened, is damaged', async () => {
    const { source, file } = await filled();
    await withIndex({ source, file }, (index) => index.settle());
    const database = new DatabaseSync(file);
    database.exec(
      "update recent set bytes = cast(substr(bytes, 1, 99) || x'ff' || substr(bytes, 101) as blob)",
    );
    database.close();
    assert.match(String(await rebuilt(source, file)), /^it is damaged: /);
  });

  it('is made when there is none, without a word', async () => {
    const { source, file } = await filled(3);
    assert.equal(await rebuilt(source, file), undefined);
    assert.ok((await stat(file)).size > 0);
  });

  it('is mended while it runs, when a read finds the damage', async () => {
    const { source, file } = await filled(BLOCK + 600);
    const log = createTestLog();
    await withIndex({ source, file, log }, async (index) => {
      await index.settle();
      const other = new DatabaseSync(file);
      other.exec(`update page set bytes = cast(substr(bytes, 1, 99) || x'ff' || substr(bytes, 101) as blob)`);
      other.close();
      const found = await walk(index, { principal: 'ada', limit: 1000 });
      assert.equal(found.length, source.size(), 'the log is read instead');
      assert.ok(log.lines.some(({ event }) => event === 'audit.index_rebuilt'));
      await index.settle();
      const reads = source.reads();
      assert.deepEqual(await indicesOf(index, { principal: 'bob' }), []);
      assert.equal(source.reads(), reads, 'the new index answers');
    });
  });
});

describe('hostile text', () => {
  const texts = [
    '"',
    '""',
    "'",
    "'; drop table fts; --",
    "' OR '1'='1",
    'ada OR bob',
    'NOT ada',
    'NEAR(ada bob, 2)',
    'terms : ada',
    '{terms} : ada',
    'ada*',
    '^ada',
    '-ada',
    'ada AND',
    '(((((',
    '\0',
    '\u001b[31m',
    '\ud800',
    '%',
    '_',
    '../../etc/passwd',
    '\u202e',
    'x'.repeat(512),
    'a '.repeat(256),
  ];

  it('is words in free text and a value in a field, never a command', async () => {
    const source = createTestSource();
    source.add(
      ...many(3),
      ...texts.map((text) => ({ detail: { note: text } })),
      ...texts.map((text) => ({ resource: text })),
    );
    await withIndex({ source }, async (index) => {
      await index.settle();
      for (const text of texts) {
        for (const name of ['principal', 'action', 'reason', 'credential', 'source', 'request'] as const)
          assert.deepEqual(await indicesOf(index, { [name]: text }), [], `${name}=${JSON.stringify(text)}`);
        const rows = await indicesOf(index, { resource: text });
        const at = 3 + texts.length + texts.indexOf(text);
        assert.ok(rows.includes(at), `resource=${JSON.stringify(text)}`);
        await index.search({ q: text });
        await index.stats({ ...allOf(), action: text });
      }
      assert.deepEqual(await indicesOf(index, { q: "'; drop table fts; --" }), [30, 6]);
      assert.equal(index.status().failures, 0);
      assert.equal(
        (await indicesOf(index, { q: 'ADA', limit: 1000 })).length,
        source.size(),
        'all tables stand',
      );
    });
  });
});

describe('a clock that went back', () => {
  it('hides no entry from a search by time', async () => {
    const source = createTestSource();
    const hours = [
      ...Array.from({ length: 300 }, (_, step) => step),
      5,
      6,
      ...Array.from({ length: 300 }, (_, step) => 300 + step),
    ];
    source.add(...hours.map((hour) => ({ time: new Date(START + hour * HOUR_MS).toISOString() })));
    await withIndex({ source }, async (index) => {
      await index.settle();
      const range = { from: START + 5 * HOUR_MS, to: START + 7 * HOUR_MS };
      assert.deepEqual(await walk(index, { ...range, limit: 3 }), [301, 300, 6, 5]);
      assert.deepEqual(await walk(index, { ...range, principal: 'ada', limit: 1 }), [301, 300, 6, 5]);
    });
  });
});
