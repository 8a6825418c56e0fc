import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import {
  createNoteSigner,
  NoteError,
  type NoteVerifier,
  openNote,
  parseVerifierKey,
  signNote,
} from './note.ts';
import { EMPTY_ROOT } from './tree.ts';

/** The example of golang.org/x/mod/sumdb/note. */
const PETER = {
  vkey: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  seed: 'AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz',
  text: "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n",
  note:
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n" +
    '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
};

const verifierOf = (vkey: string): NoteVerifier => {
  const verifier = parseVerifierKey(vkey);
  assert.ok(verifier);
  return verifier;
};

describe('a signed note', () => {
  const signer = createNoteSigner('keep.test/audit', generateKeyPairSync('ed25519').privateKey);
  const verifier = verifierOf(signer.vkey);

  it("opens the example of Go's note package", () => {
    assert.equal(openNote(PETER.note, verifierOf(PETER.vkey)), PETER.text);
  });

  it('signs that example byte for byte', () => {
    const seed = Buffer.from(PETER.seed, 'base64').subarray(1);
    const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
    const key = createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' });
    const peter = createNoteSigner('PeterNeumann', key);
    assert.equal(peter.vkey, PETER.vkey);
    assert.equal(signNote(PETER.text, peter), PETER.note);
  });

  it('passes over signatures of unknown keys, and needs one that it knows', () => {
    const [other = ''] = PETER.note.split('\n').slice(-2);
    const note = signNote('a\n', signer);
    assert.equal(openNote(`${note}${other}\n`, verifier), 'a\n');
    assert.throws(() => openNote(`a\n\n${other}\n`, verifier), /no signature by the key/);
  });

  it('refuses a note in which any character was changed', () => {
    const note = signNote('first line\nsecond line\n', signer);
    fc.assert(
      fc.property(fc.nat(note.length - 1), fc.constantFrom('x', '\n', ' ', '—', '\u0000'), (at, other) => {
        fc.pre(note[at] !== other);
        const changed = note.slice(0, at) + other + note.slice(at + 1);
        assert.throws(() => openNote(changed, verifier), NoteError);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses verifier keys whose hash, type or length is wrong', () => {
    const [name = '', id = '', key = ''] = signer.vkey.split('+', 3);
    const whole = signer.vkey.slice(name.length + id.length + 2);
    assert.ok(whole.startsWith(key));
    for (const vkey of [
      `${name}+00000000+${whole}`,
      `other+${id}+${whole}`,
      `${name}+${id}+${whole.slice(4)}`,
      `${name}+${id}`,
      '',
      `${name} +${id}+${whole}`,
    ]) {
      assert.equal(parseVerifierKey(vkey), undefined, vkey);
    }
  });

  it('refuses names that a note cannot carry and keys that are not Ed25519', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    assert.throws(() => createNoteSigner('a b', privateKey), TypeError);
    assert.throws(() => createNoteSigner('a+b', privateKey), TypeError);
    assert.throws(() => createNoteSigner('a', publicKey), TypeError);
    assert.throws(() => createNoteSigner('a', generateKeyPairSync('x25519').privateKey), TypeError);
  });

  it('carries a checkpoint there and back', () => {
    for (const size of [0, 1, 2 ** 53 - 1]) {
      const note = signCheckpoint({ origin: signer.name, size, root: EMPTY_ROOT }, signer);
      const opened = openCheckpoint(note, verifier);
      assert.deepEqual([opened.origin, opened.size], [signer.name, size]);
      assert.deepEqual(Buffer.from(opened.root), Buffer.from(EMPTY_ROOT));
    }
  });

  it('refuses signed texts that are not a checkpoint of this log', () => {
    const root = Buffer.from(EMPTY_ROOT).toString('base64');
    for (const [text, why] of [
      [`other.test\n1\n${root}\n`, /another log/],
      [`keep.test/audit\n01\n${root}\n`, /size/],
      [`keep.test/audit\n-1\n${root}\n`, /size/],
      [`keep.test/audit\n9007199254740992\n${root}\n`, /size/],
      [`keep.test/audit\n1\n${root.slice(4)}\n`, /root/],
      [`keep.test/audit\n1\n${root}\nextension\n`, /three lines/],
      [`keep.test/audit\n1\n`, /three lines|root/],
    ] as const) {
      assert.throws(() => openCheckpoint(signNote(text, signer), verifier), why);
    }
  });
});
