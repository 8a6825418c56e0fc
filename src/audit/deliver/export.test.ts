import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createManualClock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import { silentLog } from '../../kernel/log.ts';
import { openAuditLog } from '../log.ts';
import { auditProblems } from '../problems.ts';
import { createDirectorySource } from './directory-source.ts';
import { exportPage, type ExportPage, type ExportRange } from './export.ts';
import { createFormat } from './format/format.ts';
import { ORIGIN } from './format/testing.ts';
import { createMemorySource } from './testing.ts';

const parts = { origin: ORIGIN, format: createFormat('json', '0.1.0') };
const indexOf = (line: string): number => (JSON.parse(line) as { index: number }).index;
const everything = { start: 0, limit: 1000 };

async function allPages(source: Parameters<typeof exportPage>[0], range: ExportRange): Promise<number[]> {
  const found: number[] = [];
  for (let next: number | undefined = range.start; next !== undefined; ) {
    const page: ExportPage = await exportPage(source, { ...parts, range: { ...range, start: next } });
    found.push(...page.lines.map(indexOf));
    next = page.next;
  }
  return found;
}

describe('an export', () => {
  const clock = createManualClock(0);
  const source = createMemorySource(clock);
  before(() => {
    for (let index = 0; index < 1200; index++) {
      source.grow(1);
      clock.advance(1000);
    }
  });

  it('goes through the log from its start, page by page', async () => {
    for (const limit of [1000, 7, 600])
      assert.equal((await allPages(source, { start: 0, limit })).length, 1200);
  });

  it('holds what happened from one time until before another', async () => {
    const range = { from: 5000, to: 9000, ...everything };
    assert.deepEqual(await allPages(source, range), [5, 6, 7, 8]);
    assert.deepEqual(await allPages(source, { ...range, limit: 3 }), [5, 6, 7, 8]);
  });

  it('reads a bounded part of the log for one page', async () => {
    const asked: number[] = [];
    const long = {
      size: () => 1_000_000,
      read: async (from: number, limit: number) => {
        asked.push(limit);
        const [entry] = await source.read(0, 1);
        if (entry === undefined) return [];
        return Array.from({ length: limit }, (_, n) => ({ ...entry, index: from + n }));
      },
    };
    const page = await exportPage(long, { ...parts, range: { ...everything, from: 9e12 } });
    assert.deepEqual([page.lines.length, page.next], [0, 16_384]);
    assert.ok(asked.every((limit) => limit <= 512));
  });
});

describe('a copy of a log', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'modelkeep-export-'));
    const { privateKey } = generateKeyPairSync('ed25519');
    const options = { signingKey: privateKey, origin: ORIGIN, clock: createManualClock(), log: silentLog };
    const log = await openAuditLog({ directory: join(directory, 'log'), ...options });
    const draft = {
      phase: 'single',
      principal: { kind: 'system' },
      decision: 'allow',
      reason: 'allowed',
    } as const;
    await Promise.all(
      Array.from({ length: 600 }, (_, n) => log.append({ ...draft, action: 'test.run', detail: { n } })),
    );
    await log.close();
  });
  after(() => rm(directory, { recursive: true }));

  it('is read entry by entry, across its bundles', async () => {
    const source = createDirectorySource(join(directory, 'log'), 600);
    assert.deepEqual(
      (await source.read(250, 270)).map(({ index, entry }) => [index, entry.detail?.['n']]),
      Array.from({ length: 270 }, (_, n) => [250 + n, 250 + n]),
    );
    assert.equal((await source.read(599, 10)).length, 1);
    assert.deepEqual(await source.read(600, 10), []);
    assert.equal((await allPages(source, everything)).length, 600);
  });

  it('that lacks a bundle, or holds a broken one, is refused', async () => {
    const copy = join(directory, 'copy');
    await cp(join(directory, 'log'), copy, { recursive: true });
    const bundle = join(copy, 'tile/entries/001');
    const bytes = await readFile(bundle);
    await writeFile(bundle, Buffer.concat([bytes.subarray(0, 40), bytes.subarray(41)]));
    const source = createDirectorySource(copy, 600);
    const isCorrupt = (error: unknown): boolean => isProblem(error, auditProblems.log_corrupt);
    await assert.rejects(source.read(256, 300), isCorrupt);
    await rm(bundle);
    await assert.rejects(source.read(256, 300), isCorrupt);
    assert.equal((await source.read(0, 256)).length, 256);
  });
});
