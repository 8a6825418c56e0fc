import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

/**
 * Keys for one month. Equal texts have equal sealed forms within it, so that a search finds them without opening any:
 * the nonce is a MAC of the text. Under one key a nonce comes twice only for the same text.
 */
export interface MonthKey {
  /** `2026-11:` and base64url of nonce, ciphertext, tag. */
  seal(text: string, use: SealedUse, paddedTo: number): string;
  /** Undefined for anything that `seal` did not make with this key and use. */
  open(sealed: string, use: SealedUse): string | undefined;
}

/** Bound into the ciphertext: what was sealed as one cannot be shown as the other. */
export type SealedUse = 'address' | 'client';

export const MONTH_KEY_BYTES = 64;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const SEALED = /^(\d{4}-(?:0[1-9]|1[0-2])):([A-Za-z0-9_-]{40,})$/;

export function createMonthKeyBytes(): Buffer {
  return randomBytes(MONTH_KEY_BYTES);
}

/** The month whose key sealed a text; undefined if nothing did. */
export function monthOf(sealed: string): string | undefined {
  return SEALED.exec(sealed)?.[1];
}

/** `bytes`: the key of the cipher, then that of the MAC. They may be overwritten afterwards. */
export function openMonthKey(month: string, bytes: Uint8Array): MonthKey {
  const cipherKey: KeyObject = createSecretKey(bytes.subarray(0, 32));
  const nonceKey: KeyObject = createSecretKey(bytes.subarray(32, MONTH_KEY_BYTES));
  const options = { authTagLength: TAG_BYTES } as const;
  const boundTo = (use: SealedUse): Buffer => Buffer.from(`modelkeep/audit/source/${month}/${use}`);
  return {
    seal(text, use, paddedTo) {
      const bytes = Buffer.from(text);
      const padded = Buffer.alloc(Math.max(1, Math.ceil(bytes.length / paddedTo)) * paddedTo);
      bytes.copy(padded);
      const nonce = createHmac('sha256', nonceKey).update(`${use}\n`).update(padded).digest();
      const cipher = createCipheriv('aes-256-gcm', cipherKey, nonce.subarray(0, NONCE_BYTES), options);
      cipher.setAAD(boundTo(use));
      const parts = [
        nonce.subarray(0, NONCE_BYTES),
        cipher.update(padded),
        cipher.final(),
        cipher.getAuthTag(),
      ];
      return `${month}:${Buffer.concat(parts).toString('base64url')}`;
    },
    open(sealed, use) {
      const [, name, text = ''] = SEALED.exec(sealed) ?? [];
      const bytes = Buffer.from(text, 'base64url');
      if (name !== month || bytes.length < NONCE_BYTES + TAG_BYTES) return undefined;
      const tagAt = bytes.length - TAG_BYTES;
      const decipher = createDecipheriv('aes-256-gcm', cipherKey, bytes.subarray(0, NONCE_BYTES), options);
      decipher.setAAD(boundTo(use)).setAuthTag(bytes.subarray(tagAt));
      try {
        const plain = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, tagAt)), decipher.final()]);
        return plain.toString().replace(/\0+$/, '');
      } catch {
        return undefined;
      }
    },
  };
}
