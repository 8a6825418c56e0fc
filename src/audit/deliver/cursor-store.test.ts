import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createFileCursors } from './cursor-store.ts';
import { ORIGIN } from './format/testing.ts';

describe('the cursor files', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'modelkeep-cursors-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const cursor = {
    v: 1,
    origin: ORIGIN,
    next: 3,
    leaf: 'ab'.repeat(32),
    deadLetters: 1,
    lastDeadLetters: [{ index: 2, reason: 'too large' }],
  } as const;

  it('hold what was saved, one file for each sink, for the owner alone', async () => {
    const cursors = createFileCursors(join(directory, 'delivery'));
    assert.equal(await cursors.load('siem'), undefined);
    await cursors.save('siem', cursor);
    await cursors.save('siem', { ...cursor, next: 4 });
    assert.deepEqual(await cursors.load('siem'), { ...cursor, next: 4 });
    assert.deepEqual(await readdir(join(directory, 'delivery')), ['siem.json']);
    assert.equal((await stat(join(directory, 'delivery', 'siem.json'))).mode & 0o777, 0o600);
  });

  it('that are damaged count as none: everything is sent again', async () => {
    const cursors = createFileCursors(directory);
    await cursors.save('siem', cursor);
    const good = await readFile(join(directory, 'siem.json'), 'utf8');
    for (const bad of ['', good.slice(0, 40), good.replace('"next":3', '"next":-3'), '[]', '{}']) {
      await writeFile(join(directory, 'siem.json'), bad);
      assert.equal(await cursors.load('siem'), undefined);
    }
  });

  it('lie nowhere else than in their directory', async () => {
    const cursors = createFileCursors(directory);
    for (const name of ['../x', 'a/b', '', 'A', '.', 'x\0'])
      await assert.rejects(cursors.save(name, cursor), TypeError);
  });
});
