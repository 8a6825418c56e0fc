import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createStateFile } from './state-file.ts';
import { createTags } from './tags.ts';

describe('the state file', () => {
  it('is read only by who holds its key, and only if no byte was changed', async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'modelkeep-detect-')), 'state');
    const key = createSecretKey(Buffer.alloc(32, 1));
    const file = createStateFile(path, key);
    assert.equal(await file.read(), undefined);
    const state = { origin: 'o', next: 7, parts: [{ id: 'A1', tag: '1', bytes: Uint8Array.of(1, 2) }] };
    await file.write(state);
    const read = await file.read();
    assert.equal(read?.next, 7);
    assert.deepEqual(Buffer.from(read.parts[0]?.bytes ?? []), Buffer.from([1, 2]));
    assert.equal(await createStateFile(path, createSecretKey(Buffer.alloc(32, 2))).read(), undefined);
    const bytes = await readFile(path);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      await writeFile(path, changed);
      assert.equal(await file.read(), undefined, `byte ${at}`);
    }
    await writeFile(path, bytes.subarray(0, 30));
    assert.equal(await file.read(), undefined);
  });
});

describe('tags', () => {
  it('tell equal from different, by kind and by key, in sixteen digits', () => {
    const tags = createTags(createSecretKey(Buffer.alloc(32, 1)));
    const others = createTags(createSecretKey(Buffer.alloc(32, 2)));
    assert.match(tags.secret('hunter2'), /^[0-9a-f]{16}$/);
    assert.equal(tags.input(Buffer.from('a')), tags.input(Buffer.from('a')));
    const all = [tags.secret('a'), tags.claim('a'), tags.input(Buffer.from('a')), others.secret('a')];
    assert.equal(new Set(all).size, 4);
  });
});
