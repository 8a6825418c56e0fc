import { isIP } from 'node:net';
import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import type { Entry } from '../entry.ts';
import { createMonthFiles, type PrivacyRing } from './month-files.ts';
import { type MonthKey, monthOf, openMonthKey } from './month-key.ts';
import { privacyProblems } from './problems.ts';

type Source = NonNullable<Entry['source']>;

/** Seals where requests come from, with a key per month; deleting the key erases them and changes no entry. */
export interface Privacy {
  /**
   * The source as it is recorded at `time` (ISO 8601). Undefined if the month has no key yet: rather no source than a
   * readable one. What is no address, such as the name of a local socket, stays as it is.
   */
  seal(source: Source, time: string): Source | undefined;
  /** The entry with its source readable, where the key of its month is still there; else as it is. */
  reveal(entry: Entry): Entry;
  /** How an address is written in each month that has a key: what to search for. */
  sealedForms(address: string): readonly string[];
  /** Months that can be revealed, oldest first. */
  months(): readonly string[];
  /** Makes the keys of this month and the next, if they are not there. To be called now and then. */
  prepare(): Promise<void>;
  /** Throws `privacy.month_current` or `privacy.month_not_found`. When it resolves nothing can reveal the month. */
  erase(month: string): Promise<void>;
}

export interface PrivacyOptions {
  /** `privacy/` of the keep, outside the log; made if it is not there. */
  readonly directory: string;
  /** Holds the key `privacy` of purpose `wrap`. */
  readonly ring: PrivacyRing;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
}

/** Shows of an address only to which family it belongs. */
const ADDRESS_V4_BYTES = 16;
const ADDRESS_V6_BYTES = 48;
const CLIENT_BYTES = 32;
/** What fits into a text of an entry when it has been sealed. */
const CLIENT_BYTES_MAX = 224;
const CACHE_MAX = 2048;

/** Rejects with `privacy.key_unreadable` if the key of this month cannot be read; an older one is only warned of. */
export async function openPrivacy({ directory, ring, clock, log }: PrivacyOptions): Promise<Privacy> {
  const files = createMonthFiles(directory, ring);
  const keys = new Map<string, MonthKey>();
  // Most requests come from an address and connection that has just been sealed.
  const addresses = new Map<string, string>();
  const clients = new Map<string, string>();
  /** What was sealed, by its sealed form: those who follow the log ask for it again at once. */
  const revealed = new Map<string, Source>();
  let cachedMonth = '';
  let preparing: Promise<void> | undefined;
  const thisMonth = (): string => new Date(clock.now()).toISOString().slice(0, 7);

  const current = thisMonth();
  for (const month of await files.list()) {
    try {
      const bytes = await files.read(month);
      keys.set(month, openMonthKey(month, bytes));
      bytes.fill(0);
    } catch (error) {
      if (month >= current) throw error;
      log.warn('privacy.month_unreadable', { month, error: error as Error });
    }
  }
  const privacy: Privacy = {
    seal(source, time) {
      if (isIP(source.address) === 0) return { address: source.address, port: source.port };
      const month = time.slice(0, 7);
      const key = keys.get(month);
      if (key === undefined) {
        privacy.prepare().catch((error: Error) => log.error('privacy.key_missing', { month, error }));
        return undefined;
      }
      if (month !== cachedMonth || addresses.size > CACHE_MAX || clients.size > CACHE_MAX) {
        cachedMonth = month;
        addresses.clear();
        clients.clear();
      }
      let address = addresses.get(source.address);
      if (address === undefined) {
        address = sealAddress(key, source.address);
        addresses.set(source.address, address);
      }
      const text = clientText(source);
      let client = clients.get(text);
      if (client === undefined) {
        client = key.seal(text, 'client', CLIENT_BYTES);
        clients.set(text, client);
      }
      return { address, port: 0, client };
    },
    reveal(entry) {
      const { source } = entry;
      if (source === undefined) return entry;
      const sealed = `${source.address} ${source.client ?? ''}`;
      let opened = revealed.get(sealed);
      if (opened === undefined) {
        opened = open(source);
        if (opened === undefined) return entry;
        if (revealed.size > CACHE_MAX) revealed.clear();
        revealed.set(sealed, opened);
      }
      return { ...entry, source: opened };
    },
    sealedForms: (address) => [...keys.values()].map((key) => sealAddress(key, address)),
    months: () => [...keys.keys()].toSorted(),
    prepare() {
      const missing = [thisMonth(), after(thisMonth())].filter((month) => !keys.has(month));
      if (missing.length === 0) return Promise.resolve();
      preparing ??= createKeys(missing).finally(() => {
        preparing = undefined;
      });
      return preparing;
    },
    async erase(month) {
      if (month >= thisMonth()) throw privacyProblems.month_current(`${month} is not over`);
      if (!(await files.list()).includes(month))
        throw privacyProblems.month_not_found(`there is no key of ${month}`);
      keys.delete(month);
      revealed.clear();
      addresses.clear();
      clients.clear();
      await files.remove(month);
    },
  };
  await privacy.prepare();
  return privacy;

  function open({ client, ...rest }: Source): Source | undefined {
    const key = keys.get(monthOf(rest.address) ?? '');
    const address = key?.open(rest.address, 'address');
    if (address === undefined) return undefined;
    const [, port = '0', agent = ''] =
      /^(\d+) ?(.*)$/s.exec((client && key?.open(client, 'client')) ?? '') ?? [];
    return { ...rest, address, port: Number(port), ...(agent !== '' && { agent }) };
  }

  async function createKeys(months: readonly string[]): Promise<void> {
    for (const month of months) {
      const bytes = await files.create(month);
      keys.set(month, openMonthKey(month, bytes));
      bytes.fill(0);
    }
  }
}

function sealAddress(key: MonthKey, address: string): string {
  return key.seal(address, 'address', isIP(address) === 4 ? ADDRESS_V4_BYTES : ADDRESS_V6_BYTES);
}

/** A source that is given again, as an alert does it, has no port. */
function clientText({ port, agent }: Source): string {
  if (agent === undefined) return String(port);
  return Buffer.from(`${port} ${agent}`).subarray(0, CLIENT_BYTES_MAX).toString();
}

function after(month: string): string {
  const [year = '', of = ''] = month.split('-');
  return new Date(Date.UTC(Number(year), Number(of), 1)).toISOString().slice(0, 7);
}
