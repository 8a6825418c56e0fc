import { parseBase64, parseHex } from '../../kernel/base64.ts';
import { Secret } from '../../kernel/secret.ts';
import { parseIdentity, parseKeyLines } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { identityFromBytes } from './root-key-provider.ts';

const KEY_BYTES = 32;

/**
 * The one identity of a text as age-keygen writes it. `what` names the text for messages. Throws
 * `crypto.root_key_malformed`, which never quotes it.
 */
export function parseRootKeyText(text: string, what: string): Secret<string> {
  const [line, ...more] = parseKeyLines(text);
  const identity = line?.text;
  if (identity === undefined || more.length > 0)
    throw cryptoProblems.root_key_malformed(`${what} does not hold exactly one identity`);
  try {
    parseIdentity(identity);
  } catch (error) {
    throw cryptoProblems.root_key_malformed(`${what} does not hold an age identity`, { cause: error });
  }
  return new Secret(identity);
}

/** The same, or `base64:` or `hex:` and 32 bytes, which become the identity. For keys that another system makes. */
export function parseRootKeyValue(text: string, what: string): Secret<string> {
  const value = text.replace(/\r?\n$/, '');
  const [, encoding, encoded = ''] = /^(base64|hex):([^\n]*)$/.exec(value) ?? [];
  if (encoding === undefined) return parseRootKeyText(text, what);
  const bytes = encoding === 'hex' ? parseHex(encoded.toLowerCase()) : parseBase64(encoded);
  if (bytes?.length !== KEY_BYTES)
    throw cryptoProblems.root_key_malformed(`${what} does not hold ${KEY_BYTES} bytes in ${encoding}`);
  if (bytes.every((byte) => byte === bytes[0]))
    throw cryptoProblems.root_key_weak(`${what} holds one byte ${KEY_BYTES} times`);
  return identityFromBytes(bytes);
}
