import { createHash, generateKeyPairSync, hkdfSync } from 'node:crypto';
import { cryptoProblems } from '../../problems.ts';
import { POINT_BYTES, x25519Agree, x25519Point, x25519PrivateKey } from '../curve25519.ts';
import {
  checkWrappedLength,
  encodeRawBase64,
  type Identity,
  openFileKey,
  parseRawBase64,
  type Recipient,
  sealFileKey,
  type Stanza,
} from '../stanza.ts';
import { montgomeryPoint } from './edwards.ts';
import { type SshPublicKey, sshFingerprint } from './public-key.ts';

/** The ssh-ed25519 recipient type: X25519 with the Curve25519 form of the key, bound to its SSH form by a tweak. */

const TYPE = 'ssh-ed25519';
const INFO = 'age-encryption.org/v1/ssh-ed25519';

export type SshEd25519PublicKey = SshPublicKey & { readonly type: 'ssh-ed25519' };

/** Throws `crypto.invalid_key` if the key is not a point of the curve. */
export function createSshEd25519Recipient(publicKey: SshEd25519PublicKey): Recipient {
  const point = montgomeryPoint(publicKey.point);
  if (!point) throw cryptoProblems.invalid_key('the SSH public key is not a point of its curve');
  return {
    wrap(fileKey) {
      const ephemeral = generateKeyPairSync('x25519');
      const share = x25519Point(ephemeral.publicKey);
      const agreed = x25519Agree(ephemeral.privateKey, point);
      const secret = agreed && tweak(publicKey, agreed);
      if (!secret)
        throw cryptoProblems.invalid_key('the recipient is a point of low order, which nobody can hold');
      return {
        type: TYPE,
        args: [sshFingerprint(publicKey), encodeRawBase64(share)],
        body: sealFileKey(wrapKey(secret, share, point), fileKey),
      };
    },
  };
}

/** `seed` is the private key's 32 bytes. */
export function createSshEd25519Identity(publicKey: SshEd25519PublicKey, seed: Uint8Array): Identity {
  const expanded = createHash('sha512').update(seed).digest();
  const privateKey = x25519PrivateKey(expanded.subarray(0, POINT_BYTES));
  expanded.fill(0);
  const point = x25519Point(privateKey);
  const fingerprint = sshFingerprint(publicKey);
  return {
    unwrap(stanzas) {
      for (const stanza of stanzas) {
        if (stanza.type !== TYPE) continue;
        const share = shareOf(stanza);
        if (stanza.args[0] !== fingerprint) continue;
        const agreed = x25519Agree(privateKey, share);
        const secret = agreed && tweak(publicKey, agreed);
        if (!secret) throw cryptoProblems.malformed_header(`the ${TYPE} stanza has a share of low order`);
        const fileKey = openFileKey(wrapKey(secret, share, point), stanza.body);
        if (fileKey) return fileKey;
      }
      return undefined;
    },
  };
}

function shareOf(stanza: Stanza): Uint8Array {
  const share = stanza.args.length === 2 ? parseRawBase64(stanza.args[1] as string) : undefined;
  if (share?.length !== POINT_BYTES)
    throw cryptoProblems.malformed_header(`the ${TYPE} stanza has malformed arguments`);
  checkWrappedLength(stanza);
  return share;
}

function tweak({ blob }: SshPublicKey, agreed: Uint8Array): Uint8Array | undefined {
  const scalar = Buffer.from(hkdfSync('sha256', new Uint8Array(0), blob, INFO, 32));
  return x25519Agree(x25519PrivateKey(scalar), agreed);
}

function wrapKey(secret: Uint8Array, share: Uint8Array, point: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.concat([share, point]), INFO, 32));
}
