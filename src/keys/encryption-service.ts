import { ringProblems } from '../crypto/ring/problems.ts';
import { createSealedValues, type OpenOptions } from '../crypto/values/sealed-values.ts';
import { valueProblems } from '../crypto/values/problems.ts';
import type { SealKeySource } from '../crypto/values/seal-key.ts';
import { isProblem } from '../kernel/problem.ts';
import type { Secret } from '../kernel/secret.ts';
import { encryptionProblems } from './encryption-problems.ts';

/** What the service needs of the key ring. */
export interface EncryptionRing extends SealKeySource {
  find(name: string):
    | {
        readonly purpose: string;
        readonly versions: readonly { readonly version: number; readonly state: string }[];
      }
    | undefined;
}

/**
 * Encrypts and decrypts for callers that must not hold keys. Items are sealed values of a type of their own: what the keep
 * itself stores under the same key does not open here, nor the other way round.
 *
 * Every method throws `keys.no_seal_key`, `keys.batch_too_large`, or the signal's reason. An item that does not open is
 * `undefined` in the result, at its place, and does not fail the others.
 */
export interface EncryptionService {
  encrypt(key: string, items: readonly PlainItem[], signal?: AbortSignal): Promise<readonly SealedItem[]>;
  decrypt(
    key: string,
    items: readonly BoundItem[],
    signal?: AbortSignal,
  ): Promise<readonly (OpenedItem | undefined)[]>;
  /** Encrypts anew what another version than the active one sealed; what the active one sealed is given back as it is. */
  rewrap(
    key: string,
    items: readonly BoundItem[],
    signal?: AbortSignal,
  ): Promise<readonly (SealedItem | undefined)[]>;
}

export interface PlainItem {
  readonly plaintext: Uint8Array;
  /** What the item is for: it opens only with the same text. Not secret. */
  readonly aad: string;
}

export interface BoundItem {
  readonly ciphertext: string;
  readonly aad: string;
}

export interface SealedItem {
  readonly ciphertext: string;
  readonly version: number;
}

export interface OpenedItem {
  readonly plaintext: Secret<Uint8Array>;
  readonly version: number;
}

export const ITEM_BYTES_MAX = 1024 * 1024;
export const BATCH_BYTES_MAX = 8 * ITEM_BYTES_MAX;

export function createEncryptionService({ ring }: { readonly ring: EncryptionRing }): EncryptionService {
  const values = createSealedValues({ ring, typ: 'modelkeep-item', plaintextBytesMax: ITEM_BYTES_MAX });

  const keyOf = (name: string) => {
    const key = ring.find(name);
    if (key?.purpose === 'seal') return key;
    throw encryptionProblems.no_seal_key(`there is no key "${name}" for values`);
  };

  const seal = async (key: string, aad: string, plaintext: Uint8Array): Promise<SealedItem> => {
    const ciphertext = await values.seal(key, aad, plaintext);
    return { ciphertext, version: values.inspect(ciphertext).version };
  };

  const open = async (
    key: string,
    { ciphertext, aad }: BoundItem,
    use: Omit<OpenOptions, 'key'>,
  ): Promise<OpenedItem | undefined> => {
    try {
      // The key of the path is the one that the caller may use: the one that the item names proves nothing.
      const plaintext = await values.open(aad, ciphertext, { ...use, key });
      return { plaintext, version: values.inspect(ciphertext).version };
    } catch (error) {
      if (isProblem(error) && UNOPENED.has(error.code)) return undefined;
      throw error;
    }
  };

  const bytesOf = ({ ciphertext }: BoundItem): number => {
    try {
      return values.inspect(ciphertext).plaintextBytes;
    } catch (error) {
      if (isProblem(error, valueProblems.invalid_value)) return 0;
      throw error;
    }
  };

  return {
    async encrypt(name, items, signal) {
      keyOf(name);
      checkSize(items, ({ plaintext }) => plaintext.length);
      return eachOf(items, signal, ({ aad, plaintext }) => seal(name, aad, plaintext));
    },
    async decrypt(name, items, signal) {
      keyOf(name);
      checkSize(items, bytesOf);
      return eachOf(items, signal, (item) => open(name, item, {}));
    },
    async rewrap(name, items, signal) {
      const active = keyOf(name).versions.find(({ state }) => state === 'active')?.version;
      checkSize(items, bytesOf);
      return eachOf(items, signal, async (item) => {
        const opened = await open(name, item, { compromised: true });
        if (!opened) return undefined;
        if (opened.version === active) return { ciphertext: item.ciphertext, version: active };
        return seal(name, item.aad, opened.plaintext.reveal());
      });
    },
  };
}

/** A compromised version is no secret, but one answer for all failures is simpler to trust than two. */
const UNOPENED: ReadonlySet<string> = new Set([
  valueProblems.invalid_value.code,
  ringProblems.key_compromised.code,
]);

function checkSize<Item>(items: readonly Item[], bytesOf: (item: Item) => number): void {
  const bytes = items.reduce((sum, item) => sum + bytesOf(item), 0);
  if (bytes > BATCH_BYTES_MAX)
    throw encryptionProblems.batch_too_large(`the items hold more than ${BATCH_BYTES_MAX} bytes together`);
}

/** One after the other: a batch must not take every thread of the pool from its neighbours. */
async function eachOf<Item, Result>(
  items: readonly Item[],
  signal: AbortSignal | undefined,
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const item of items) {
    signal?.throwIfAborted();
    results.push(await work(item));
  }
  return results;
}
