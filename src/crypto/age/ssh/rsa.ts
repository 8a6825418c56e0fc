import { constants, type KeyObject, privateDecrypt, publicEncrypt } from 'node:crypto';
import { cryptoProblems } from '../../problems.ts';
import { FILE_KEY_BYTES, type Identity, type Recipient } from '../stanza.ts';
import { type SshPublicKey, sshFingerprint } from './public-key.ts';

/** The ssh-rsa recipient type: RSAES-OAEP with SHA-256. */

const TYPE = 'ssh-rsa';
const OAEP = {
  padding: constants.RSA_PKCS1_OAEP_PADDING,
  oaepHash: 'sha256',
  oaepLabel: Buffer.from('age-encryption.org/v1/ssh-rsa'),
};

export type SshRsaPublicKey = SshPublicKey & { readonly type: 'ssh-rsa' };

export function createSshRsaRecipient(publicKey: SshRsaPublicKey): Recipient {
  return {
    wrap: (fileKey) => ({
      type: TYPE,
      args: [sshFingerprint(publicKey)],
      body: publicEncrypt({ key: publicKey.key, ...OAEP }, fileKey),
    }),
  };
}

export function createSshRsaIdentity(publicKey: SshRsaPublicKey, privateKey: KeyObject): Identity {
  const fingerprint = sshFingerprint(publicKey);
  return {
    unwrap(stanzas) {
      for (const { type, args, body } of stanzas) {
        if (type !== TYPE) continue;
        if (args.length !== 1)
          throw cryptoProblems.malformed_header(`the ${TYPE} stanza has malformed arguments`);
        if (args[0] !== fingerprint) continue;
        // A private-key operation takes milliseconds, so a header gets one, not thousands.
        const fileKey = decrypt(privateKey, body);
        if (fileKey?.length === FILE_KEY_BYTES) return fileKey;
        throw cryptoProblems.tampered(`the ${TYPE} stanza for this key was changed`);
      }
      return undefined;
    },
  };
}

function decrypt(key: KeyObject, body: Uint8Array): Uint8Array | undefined {
  try {
    return privateDecrypt({ key, ...OAEP }, body);
  } catch {
    return undefined;
  }
}
