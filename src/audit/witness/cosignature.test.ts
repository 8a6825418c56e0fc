import assert from 'node:assert/strict';
import { createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { Secret } from '../../kernel/secret.ts';
import { openCheckpoint, signCheckpoint } from '../checkpoint.ts';
import { openNote, parseNote, verifyNote } from '../note.ts';
import { createCosigner, createCosigningSigner, cosignatureTime, parseCosignerKey } from './cosignature.ts';
import { generateCosignerKey, parseCosignerPrivateKey } from './cosigner-key.ts';
import { cosignatureVerifierOf, cosignerOf, createTestLog, signerOf, verifierOf } from './testing.ts';

const NAME = 'witness.test/w1';
const log = createTestLog();
const note = log.checkpoint(5);
const { text } = parseNote(note);
const SECONDS = 1_679_315_147;

for (const kind of ['ed25519', 'ml-dsa-44'] as const) {
  describe(`a cosignature by ${kind}`, () => {
    const cosigner = cosignerOf(NAME, kind);
    const verifier = cosignatureVerifierOf(cosigner.vkey);
    const line = cosigner.cosign(text, SECONDS);
    const cosigned = `${note}${line}\n`;

    it('is verified beside the signature of the log, and says when it was made', () => {
      const { verified } = verifyNote(parseNote(cosigned), [verifier, log.verifier]);
      assert.deepEqual(
        verified.map((each) => each.verifier.name),
        [log.origin, NAME],
      );
      assert.equal(cosignatureTime(verified[1]?.signature ?? new Uint8Array(8)), SECONDS);
      assert.equal(openCheckpoint(cosigned, log.verifier).size, 5);
    });

    it('does not hold for another checkpoint, another time or any flipped bit', () => {
      const signature = Buffer.from(parseNote(cosigned).signatures[1]?.signature ?? []);
      assert.ok(verifier.verify(text, signature));
      assert.equal(verifier.verify(parseNote(log.checkpoint(6)).text, signature), false);
      assert.equal(verifier.verify(text, signature.subarray(1)), false);
      assert.equal(verifier.verify(text, Buffer.concat([signature, Buffer.alloc(1)])), false);
      fc.assert(
        fc.property(fc.nat(signature.length * 8 - 1), (bit) => {
          const changed = Buffer.from(signature);
          changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          assert.equal(verifier.verify(text, changed), false);
        }),
        { numRuns: 40 },
      );
    });

    it('comes back from the line of a private key file, and from no other line', () => {
      const secret = generateCosignerKey(NAME, kind);
      const again = parseCosignerPrivateKey(secret);
      assert.equal(again?.kind, kind);
      const signed = `${note}${again.cosign(text, SECONDS)}\n`;
      assert.equal(openNote(signed, cosignatureVerifierOf(again.vkey)), text);
      const whole = secret.reveal();
      for (const wrong of ['', whole.slice(0, -4), whole.replace('witness', 'fitness'), `${whole} `]) {
        assert.equal(parseCosignerPrivateKey(new Secret(wrong)), undefined);
      }
    });

    it('has a key id that names its type, so that no plain signature passes for it', () => {
      const [, idHex = ''] = cosigner.vkey.split('+', 2);
      const type = kind === 'ed25519' ? 4 : 6;
      const digest = createHash('sha256')
        .update(`${NAME}\n`)
        .update(Buffer.from([type]))
        .update(verifier.publicKey);
      assert.equal(idHex, digest.digest('hex').slice(0, 8));
      assert.equal(parseCosignerKey(log.vkey), undefined);
      if (kind === 'ed25519') assert.throws(() => verifierOf(cosigner.vkey), TypeError);
      else assert.equal(verifierOf(cosigner.vkey).verify(text, Buffer.alloc(64)), false);
    });
  });
}

describe('the message that is cosigned', () => {
  it('is, for Ed25519, two lines and the text of the checkpoint', () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const line = createCosigner(NAME, privateKey).cosign(text, SECONDS);
    const bytes = Buffer.from(line.split(' ')[2] ?? '', 'base64');
    assert.equal(bytes.length, 76);
    assert.equal(bytes.readBigUInt64BE(4), BigInt(SECONDS));
    const message = Buffer.from(`cosignature/v1\ntime ${SECONDS}\n${text}`);
    assert.ok(verify(null, message, createPublicKey(privateKey), bytes.subarray(12)));
  });

  it('is, for ML-DSA-44, the structure of the specification, byte for byte', () => {
    const { privateKey } = generateKeyPairSync('ml-dsa-44');
    const line = createCosigner(NAME, privateKey).cosign(text, SECONDS);
    const bytes = Buffer.from(line.split(' ')[2] ?? '', 'base64');
    assert.equal(bytes.length, 4 + 8 + 2420);
    const message = Buffer.from(
      [
        Buffer.from('subtree/v1\n\0').toString('hex'),
        `0f${Buffer.from(NAME).toString('hex')}`,
        BigInt(SECONDS).toString(16).padStart(16, '0'),
        `0f${Buffer.from(log.origin).toString('hex')}`,
        '0000000000000000',
        '0000000000000005',
        Buffer.from(log.root(5)).toString('hex'),
      ].join(''),
      'hex',
    );
    assert.ok(verify(null, message, createPublicKey(privateKey), bytes.subarray(12)));
  });

  it('is refused for a text that is no checkpoint, and a name or key that cannot cosign', () => {
    assert.throws(() => cosignerOf(NAME, 'ml-dsa-44').cosign('not a checkpoint\n', 1), TypeError);
    assert.throws(() => cosignerOf('a b'), TypeError);
    assert.throws(() => cosignerOf('a'.repeat(256)), TypeError);
    assert.throws(() => createCosigner(NAME, generateKeyPairSync('x25519').privateKey), TypeError);
    assert.throws(() => createCosigner(NAME, generateKeyPairSync('ed25519').publicKey), TypeError);
  });

  it('does not take a time that the specification forbids', () => {
    const cosigner = cosignerOf(NAME);
    const bytes = Buffer.from(cosigner.cosign(text, 1).split(' ')[2] ?? '', 'base64').subarray(4);
    bytes.writeBigUInt64BE(2n ** 63n);
    assert.equal(cosignatureVerifierOf(cosigner.vkey).verify(text, bytes), false);
  });
});

describe('a checkpoint with a post-quantum line', () => {
  it('opens with either key of the log, and not if one of the two is wrong', () => {
    const ed25519 = signerOf(log.origin);
    const mlDsa = cosignerOf(log.origin, 'ml-dsa-44');
    const signers = [ed25519, createCosigningSigner(mlDsa, () => SECONDS)];
    const both = signCheckpoint({ origin: log.origin, size: 5, root: log.root(5) }, signers);
    const keys = [verifierOf(ed25519.vkey), cosignatureVerifierOf(mlDsa.vkey)];
    for (const some of [keys, keys.slice(0, 1), keys.slice(1)])
      assert.equal(openCheckpoint(both, some).size, 5);
    for (const at of [4, 5]) {
      const alone = both.split('\n').toSpliced(at, 1).join('\n');
      assert.throws(() => openCheckpoint(alone, keys), /no (ML-DSA-44|Ed25519) signature .* which was given/);
      assert.equal(openCheckpoint(alone, keys[5 - at] ?? assert.fail()).size, 5);
    }
    const [, , , , line = ''] = both.split('\n');
    const other = createTestLog({ fork: 0, signer: ed25519 }).checkpoint(5);
    assert.throws(() => openCheckpoint(`${other}${both.split('\n')[5]}\n`, keys), /signature is wrong/);
    assert.ok(line.startsWith('\u2014 '));
  });
});
