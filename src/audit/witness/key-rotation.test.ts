import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openCheckpoint, signCheckpoint } from '../checkpoint.ts';
import type { Entry } from '../entry.ts';
import { NoteError } from '../note.ts';
import { serialiseEntry } from '../serialise.ts';
import { keyRotationDraft, keyRotationOf, parseVerifierKeys, successorsOf } from './key-rotation.ts';
import { cosignerOf, createTestLog, signerOf, verifierOf } from './testing.ts';

const [first, second, third] = [
  signerOf('keep.test/audit'),
  signerOf('keep.test/audit'),
  signerOf('keep.test/audit'),
];
const log = createTestLog({ signer: first });
const head = { origin: log.origin, size: 7, root: log.root(7) };
const overlapUntil = Date.UTC(2026, 1, 1);
const entryOf = (from: string, to: string): Entry => ({
  v: 1,
  id: '01941f29-7c00-7000-8000-000000000000',
  time: '2026-01-01T00:00:00.000Z',
  ...keyRotationDraft({ from, to, overlapUntil }),
});

describe('a log that changes its key', () => {
  it('is verified in the overlap by whoever has either key, and afterwards by whoever has the new one', () => {
    const [old, next] = [verifierOf(first.vkey), verifierOf(second.vkey)];
    const both = signCheckpoint(head, [second, first]);
    for (const keys of [[old], [next], [old, next]]) assert.equal(openCheckpoint(both, keys).size, 7);
    const alone = signCheckpoint(head, [second]);
    assert.equal(openCheckpoint(alone, [old, next]).size, 7);
    assert.throws(() => openCheckpoint(alone, [old]), NoteError);
    assert.throws(() => openCheckpoint(both, verifierOf(third.vkey)), /no signature by the key/);
  });

  it('is refused if one of two known signatures is bad, or neither key is that of the origin', () => {
    const other = signCheckpoint({ ...head, size: 8 }, [first]).split('\n\n')[1] ?? '';
    const mixed = signCheckpoint(head, [second]) + other;
    assert.equal(openCheckpoint(mixed, verifierOf(second.vkey)).size, 7);
    assert.throws(() => openCheckpoint(mixed, [verifierOf(second.vkey), verifierOf(first.vkey)]), /wrong/);
    const stranger = signerOf('other.test');
    assert.throws(
      () => openCheckpoint(signCheckpoint(head, [stranger]), verifierOf(stranger.vkey)),
      /another log/,
    );
  });

  it('names the new key in an entry that the log takes, and that leads from the old key to the newest', () => {
    const entries = [entryOf(first.vkey, second.vkey), entryOf(second.vkey, third.vkey)];
    for (const entry of entries) assert.ok(serialiseEntry(entry).length > 0);
    const rotations = entries.map(keyRotationOf).filter((each) => each !== undefined);
    assert.equal(rotations[0]?.overlapUntil, overlapUntil);
    assert.deepEqual(successorsOf(first.vkey, rotations), [first.vkey, second.vkey, third.vkey]);
    assert.deepEqual(successorsOf(second.vkey, rotations), [second.vkey, third.vkey]);
    assert.deepEqual(successorsOf(third.vkey, rotations), [third.vkey]);
  });

  it('takes no entry for a rotation that names a key of another log, the same key or no key', () => {
    const good = entryOf(first.vkey, second.vkey);
    assert.throws(() => keyRotationDraft({ from: first.vkey, to: first.vkey, overlapUntil }), TypeError);
    for (const change of [
      { action: 'user.create' },
      { decision: 'deny' as const },
      { detail: {} },
      { detail: { ...good.detail, to: signerOf('other.test').vkey } },
      { detail: { ...good.detail, to: 'nothing' } },
      { detail: { ...good.detail, overlapUntil: 'soon' } },
    ]) {
      assert.equal(keyRotationOf({ ...good, ...change }), undefined, JSON.stringify(change));
    }
  });

  it('lists its verifier keys one a line', () => {
    assert.deepEqual(parseVerifierKeys(`${second.vkey}\n${first.vkey}\n`), [second.vkey, first.vkey]);
    const { vkey } = cosignerOf('keep.test/audit', 'ml-dsa-44');
    assert.deepEqual(parseVerifierKeys(`${first.vkey}\n${vkey}\n`), [first.vkey], 'but that of ML-DSA-44');
    for (const text of ['', '\n', `${vkey}\n`, first.vkey, `${first.vkey}\n\n`, 'key\n'])
      assert.equal(parseVerifierKeys(text), undefined);
  });
});
