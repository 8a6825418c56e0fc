import { encodeBase64, parseBase64 } from '../../../kernel/base64.ts';
import { canonicalJson, type Json } from '../../../kernel/canonical-json.ts';
import { cryptoProblems } from '../../problems.ts';
import type { RemoteWrapper, WrapContext } from './remote-wrapper.ts';
import { member, type VaultClient } from './vault-client.ts';

export interface VaultWrapperOptions {
  readonly client: VaultClient;
  readonly mount: string;
  readonly key: string;
  /** The key was made with `derived=true`. */
  readonly derived: boolean;
}

/**
 * A key of the transit engine of Vault or OpenBao. A plain key binds the context as associated data, which `rewrap` of the
 * service does not take; a derived key takes it as the context of the derivation, in all three calls.
 */
export function createVaultWrapper({ client, mount, key, derived }: VaultWrapperOptions): RemoteWrapper {
  const bound = (context: WrapContext): Record<string, Json> => ({
    [derived ? 'context' : 'associated_data']: encodeBase64(Buffer.from(canonicalJson(context))),
  });
  const call = (verb: 'encrypt' | 'decrypt' | 'rewrap', body: Json) =>
    client.post(`${mount}/${verb}/${key}`, body);
  const ciphertextOf = (data: Readonly<Record<string, Json>>): Uint8Array => {
    const ciphertext = member(data, 'ciphertext');
    if (typeof ciphertext !== 'string' || !CIPHERTEXT.test(ciphertext)) throw unexpected();
    return Buffer.from(ciphertext);
  };

  return {
    provider: 'vault',
    keyId: `${mount}/${key}`,
    wrap: async (plaintext, context) =>
      ciphertextOf(await call('encrypt', { plaintext: encodeBase64(plaintext), ...bound(context) })),
    async unwrap(ciphertext, context) {
      const text = Buffer.from(ciphertext).toString('latin1');
      const encoded = member(await call('decrypt', { ciphertext: text, ...bound(context) }), 'plaintext');
      const plaintext = typeof encoded === 'string' ? parseBase64(encoded) : undefined;
      if (plaintext === undefined) throw unexpected();
      return plaintext;
    },
    ...(derived && {
      rewrap: async (ciphertext: Uint8Array, context: WrapContext) =>
        ciphertextOf(
          await call('rewrap', { ciphertext: Buffer.from(ciphertext).toString('latin1'), ...bound(context) }),
        ),
    }),
    close: () => client.close(),
  };
}

const CIPHERTEXT = /^[a-z]+:v[0-9]+:[A-Za-z0-9+/=]+$/;

function unexpected() {
  return cryptoProblems.root_key_refused('Vault answered with something else than was asked for');
}
