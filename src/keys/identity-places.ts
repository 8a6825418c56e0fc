import type { KeyUsage, WrappedPlace } from '../crypto/ring/wrapped-place.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Database } from '../storage/database.ts';

/** Ring keys of the identity room, both of purpose `mac`. */
const API_KEYS = 'api-keys';
const PEPPER = 'password-pepper';

/**
 * MACs of API keys. A key's text is its owner's alone, so its MAC moves when the key is next presented. Keys that can
 * never be presented again, because they are revoked or have expired, do not hold a version back.
 */
export function createApiKeyPlace(database: Database, clock: Pick<Clock, 'now'>): WrappedPlace {
  return {
    name: 'API keys',
    rewrapping: 'on-use',
    async usage() {
      const rows = await database.query
        .selectFrom('api_keys')
        .select((row) => ['mac_key_version as version', row.fn.countAll<number>().as('items')])
        .where('revoked_at', 'is', null)
        .where((row) => row.or([row('expires_at', 'is', null), row('expires_at', '>', clock.now())]))
        .groupBy('mac_key_version')
        .execute();
      return rows.map(({ version, items }) => ({ key: API_KEYS, version, items }));
    },
  };
}

/** Password hashes, each of which names the version of the pepper in its `keyid`. They move at the next right login. */
export function createPasswordPlace(database: Database): WrappedPlace {
  return {
    name: 'password hashes',
    rewrapping: 'on-use',
    async usage() {
      const rows = await database.query
        .selectFrom('users')
        .select('password')
        .where('password', 'is not', null)
        .execute();
      const items = new Map<number, number>();
      for (const { password } of rows) {
        const version = pepperVersion(password ?? '');
        if (version !== undefined) items.set(version, (items.get(version) ?? 0) + 1);
      }
      return Array.from(items, ([version, count]): KeyUsage => ({ key: PEPPER, version, items: count }));
    },
  };
}

/** `keyid` of a PHC string: a decimal number in base64. */
function pepperVersion(phc: string): number | undefined {
  const [, keyid] = /,keyid=([A-Za-z0-9+/]{1,11})\$/.exec(phc) ?? [];
  const text = Buffer.from(keyid ?? '', 'base64').toString('latin1');
  return /^[1-9][0-9]{0,7}$/.test(text) ? Number(text) : undefined;
}
