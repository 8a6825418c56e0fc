import { hash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { macOfApiKey } from './api-key.ts';
import type { ApiKeyRecord } from './record.ts';

/** Claims that `text` is the key of `record`, whose MAC is under `key`. Without a record it works as long, and denies. */
export type KeyCheck = (text: string, record: ApiKeyRecord | undefined, key: KeyObject) => boolean;

/**
 * A record that was proved by its MAC is known again by one hash, a tenth of the work. What was proved ends with the
 * record, which every change replaces, and with the MAC key, which the caller asks the ring for each time. The hash needs
 * no salt: a key has 190 random bits.
 */
export function createKeyCheck(): KeyCheck {
  const proved = new WeakMap<ApiKeyRecord, { readonly key: KeyObject; readonly digest: Buffer }>();
  return (text, record, key) => {
    // For unknown keys too: they must not be told by the time.
    const digest = Buffer.from(hash('sha256', text), 'latin1');
    const before = record && proved.get(record);
    if (before?.key === key && timingSafeEqual(digest, before.digest)) return true;
    const mac = macOfApiKey(text, key);
    if (record === undefined || !timingSafeEqual(mac, record.mac)) return false;
    proved.set(record, { key, digest });
    return true;
  };
}
