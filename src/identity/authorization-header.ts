import { parseBase64 } from '../kernel/base64.ts';
import { Secret } from '../kernel/secret.ts';
import { isApiKeyShaped, parseApiKeyText } from './api-key.ts';

/** What an `Authorization` header presents. Nothing has been checked but its form. */
export type Presented =
  | { readonly kind: 'missing' | 'malformed' | 'bad_checksum' }
  /** `name`: from Basic, whose owner the key must belong to; absent from Bearer. */
  | {
      readonly kind: 'api_key';
      readonly text: Secret<string>;
      readonly publicId: string;
      readonly name?: string;
    }
  | { readonly kind: 'password'; readonly name: string; readonly password: Secret<string> };

/**
 * Reads `Basic` (RFC 7617, UTF-8, canonical base64) and `Bearer mk_…`. Never throws. A Basic password of the form of an
 * API key is one: passwords of that form are refused when they are set.
 */
export function parseAuthorization(header: string | undefined): Presented {
  if (header === undefined || header === '') return { kind: 'missing' };
  if (header.length > HEADER_LENGTH_MAX) return MALFORMED;
  const match = /^(basic|bearer) +([A-Za-z0-9+/_=-]+)$/i.exec(header);
  if (match === null) return MALFORMED;
  const [, scheme = '', text = ''] = match;
  return scheme.toLowerCase() === 'bearer' ? apiKey(text) : basic(text);
}

const HEADER_LENGTH_MAX = 8_192;
const MALFORMED: Presented = { kind: 'malformed' };
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function apiKey(text: string, name?: string): Presented {
  const parsed = parseApiKeyText(text);
  if (parsed === undefined) return { kind: isApiKeyShaped(text) ? 'bad_checksum' : 'malformed' };
  const key = { kind: 'api_key', text: new Secret(text), publicId: parsed.publicId } as const;
  return name === undefined ? key : { ...key, name };
}

function basic(base64: string): Presented {
  const bytes = parseBase64(base64);
  const pair = bytes === undefined ? undefined : decode(bytes);
  if (pair === undefined || /\p{Cc}/u.test(pair)) return MALFORMED;
  const colon = pair.indexOf(':');
  if (colon < 1) return MALFORMED;
  const name = pair.slice(0, colon);
  const password = pair.slice(colon + 1);
  return isApiKeyShaped(password)
    ? apiKey(password, name)
    : { kind: 'password', name, password: new Secret(password) };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
