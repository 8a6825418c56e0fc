import type { Secret } from '../../../kernel/secret.ts';
import { cryptoProblems } from '../../problems.ts';
import type { Identity, KeyIdentity, Recipient } from '../stanza.ts';
import { createSshEd25519Identity, createSshEd25519Recipient } from './ed25519.ts';
import { parseSshPrivateKey, type SshSecret } from './private-key.ts';
import {
  formatSshPublicKey,
  parseSshPublicKeyLine,
  type SshPublicKey,
  sshFingerprint,
} from './public-key.ts';
import { createSshRsaIdentity, createSshRsaRecipient } from './rsa.ts';

/** SSH keys as age uses them: for those who have one already. Their files tell whom they are for; age keys' do not. */

/** A line of a `.pub` file. Throws `crypto.invalid_key` or `crypto.unsupported_key`; neither quotes the text. */
export function parseSshRecipient(line: string): Recipient {
  const publicKey = parseSshPublicKeyLine(line);
  return publicKey.type === 'ssh-rsa'
    ? createSshRsaRecipient(publicKey)
    : createSshEd25519Recipient(publicKey);
}

/**
 * A private key file. A passphrase is asked for only when a stanza is addressed to the key, and once: a key that was
 * opened stays so. Throws as `parseSshPrivateKey`.
 */
export function parseSshIdentity(pem: string, passphrase?: () => Promise<Secret<string>>): KeyIdentity {
  const privateKey = parseSshPrivateKey(pem);
  const { publicKey } = privateKey;
  const fingerprint = sshFingerprint(publicKey);
  let opened = privateKey.locked ? undefined : createIdentity(publicKey, privateKey.open());
  return {
    recipient: formatSshPublicKey(publicKey),
    locked: privateKey.locked,
    async unwrap(stanzas) {
      if (!opened) {
        if (!stanzas.some(({ type, args }) => type === publicKey.type && args[0] === fingerprint))
          return undefined;
        opened = createIdentity(publicKey, privateKey.open(await passphrase?.()));
      }
      return opened.unwrap(stanzas);
    },
  };
}

function createIdentity(publicKey: SshPublicKey, secret: SshSecret): Identity {
  if (publicKey.type === 'ssh-ed25519' && secret.type === 'ssh-ed25519')
    return createSshEd25519Identity(publicKey, secret.seed);
  if (publicKey.type === 'ssh-rsa' && secret.type === 'ssh-rsa')
    return createSshRsaIdentity(publicKey, secret.key);
  throw cryptoProblems.invalid_key('the two halves of the SSH key are of different types');
}
