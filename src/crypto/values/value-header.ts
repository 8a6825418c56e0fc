import { z } from 'zod';
import { parseBase64Url } from '../../kernel/base64.ts';
import { JsonError } from '../../kernel/canonical-json.ts';
import { parseStrictJson } from '../../kernel/strict-json.ts';

/** The text of a sealed value before any key is looked up: docs/formats/sealed-values.md. */

/** UTF-16 code units of a path. */
export const PATH_CHARS_MAX = 512;
const HEADER_BYTES_MAX = 4096;
const IV_BYTES = 12;
const TAG_BYTES = 16;

export const KEY_NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
const KID = /^([a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)\.([1-9][0-9]{0,8})$/;

/** No other algorithm is named anywhere, so none can be chosen by whoever writes a header. */
const header = z.strictObject({
  alg: z.literal('dir'),
  enc: z.literal('A256GCM'),
  kid: z.string().regex(KID),
  path: z.string().min(1).max(PATH_CHARS_MAX),
  typ: z.string().regex(/^[a-z][a-z-]{0,62}$/),
});

/** The protected header as JOSE has it. */
export type ValueHeader = z.infer<typeof header>;

/** What can be read of a sealed value without its key. Nothing of it is verified. */
export interface ValueFacts {
  readonly key: string;
  readonly version: number;
  readonly path: string;
  readonly typ: string;
  /** Size of what is sealed. */
  readonly plaintextBytes: number;
}

export function isKeyVersion(version: number): boolean {
  return KID.test(`k.${version}`);
}

export function isPath(text: string): boolean {
  return text.length > 0 && text.length <= PATH_CHARS_MAX && text.isWellFormed();
}

export function kidOf(key: string, version: number): string {
  return `${key}.${version}`;
}

/** The facts, or why there are none; the reason never quotes the text. */
export function parseValue(
  token: string,
  plaintextBytesMax: number,
): ValueFacts | { readonly reason: string } {
  // Checked before anything is decoded: headers and frame are small, so the text is not much longer than the data.
  if (token.length > Math.ceil((plaintextBytesMax * 4) / 3) + HEADER_BYTES_MAX * 2)
    return { reason: 'it is too long' };
  const parts = token.split('.', 6);
  const [head = '', encryptedKey, iv = '', ciphertext = '', tag = ''] = parts;
  if (parts.length !== 5) return { reason: 'it is not five parts' };
  if (encryptedKey !== '') return { reason: 'it holds an encrypted key' };
  if (parseBase64Url(iv)?.length !== IV_BYTES) return { reason: 'its initialization vector is malformed' };
  if (parseBase64Url(tag)?.length !== TAG_BYTES) return { reason: 'its authentication tag is malformed' };
  const sealed = parseBase64Url(ciphertext);
  if (!sealed) return { reason: 'its ciphertext is malformed' };
  const parsed = parseHeader(head);
  if (!parsed) return { reason: 'its header is malformed' };
  const [, key = '', version = ''] = KID.exec(parsed.kid) ?? [];
  return { key, version: Number(version), path: parsed.path, typ: parsed.typ, plaintextBytes: sealed.length };
}

function parseHeader(text: string): ValueHeader | undefined {
  const bytes = parseBase64Url(text);
  if (!bytes || bytes.length > HEADER_BYTES_MAX) return undefined;
  try {
    return header.safeParse(parseStrictJson(bytes, 1)).data;
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}
