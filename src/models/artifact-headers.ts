import type { KeyRing } from '../crypto/ring/key-ring.ts';
import type { KeyUsage, MoveResult, WrappedPlace } from '../crypto/ring/wrapped-place.ts';
import type { Clock } from '../kernel/clock.ts';
import { isProblem } from '../kernel/problem.ts';
import type { ArtifactVault, SealedArtifact } from './artifact-vault.ts';
import { labelOf } from './label.ts';
import type { VersionRecord } from './record.ts';
import type { ArtifactReplacement, ModelStore } from './store.ts';

/**
 * The headers of the stored artifacts, as a place under ring keys. To rewrap moves headers alone; who has kept an old
 * header and its key still opens the payload. To re-encrypt makes a new payload, and whatever was kept opens nothing.
 */
export interface ArtifactHeaders extends WrappedPlace {
  readonly rewrapping: 'rewrap';
  rewrap(key: string, limit: number): Promise<MoveResult>;
  reencrypt(key: string, since: number, limit: number): Promise<MoveResult>;
}

export interface ArtifactHeadersDependencies {
  readonly store: Pick<ModelStore, 'load' | 'replaceArtifacts'>;
  readonly vault: ArtifactVault;
  readonly keyRing: Pick<KeyRing, 'list'>;
  readonly clock: Pick<Clock, 'now'>;
  /** Runs when rows have changed; what it resolves with must name the new blobs before an old one goes. */
  readonly onReplaced: () => Promise<void>;
}

export function createArtifactHeaders({
  store,
  vault,
  keyRing,
  clock,
  onReplaced,
}: ArtifactHeadersDependencies): ArtifactHeaders {
  async function rewrap(key: string, limit: number): Promise<MoveResult> {
    const active = activeVersion(keyRing, key);
    const items = (await load(store, key)).filter(({ record }) => record.keyVersion !== active);
    const { done, failures } = await upTo(limit, items, async ({ record, label }) => {
      const moved = await vault.rewrap(record, label);
      return replacementOf(record, { ...record, ...moved });
    });
    const replaced = await store.replaceArtifacts(done);
    if (replaced.length > 0) await onReplaced();
    // All of them were removed or re-encrypted meanwhile: none of those is left, but others may be.
    else if (done.length > 0) return await rewrap(key, limit);
    return { moved: replaced.length, failures };
  }

  /** Every version is moved in a transaction of its own: what is done stays done, however long the rest takes. */
  async function reencrypt(key: string, since: number, limit: number): Promise<MoveResult> {
    const items = (await load(store, key)).filter(({ record }) => record.sealedAt < since);
    const { done, failures } = await upTo(limit, items, ({ record, label }) =>
      vault.seal(vault.open(record, label, { compromised: true }), async (artifact) => {
        // Not before `since`, even if the wall clock was set back: the next call would begin anew.
        const sealedAt = Math.max(clock.now(), since);
        const [replaced] = await store.replaceArtifacts([replacementOf(record, { ...artifact, sealedAt })]);
        if (replaced !== undefined) await onReplaced();
        await vault.discard(replaced === undefined ? artifact.blob : record.blob);
      }),
    );
    return { moved: done.length, failures };
  }

  return {
    name: 'artifact headers',
    rewrapping: 'rewrap',
    async usage() {
      const { versions } = await store.load();
      const groups = Map.groupBy(versions, ({ keyName, keyVersion }) => `${keyName} ${keyVersion}`);
      return [...groups.values()].flatMap(usageOf);
    },
    rewrap,
    reencrypt,
  };
}

interface Item {
  readonly record: VersionRecord;
  readonly label: string;
}

/** The versions under a key, the one that was encrypted the longest ago first. */
async function load(store: Pick<ModelStore, 'load'>, key: string): Promise<readonly Item[]> {
  const { models, versions } = await store.load();
  const names = new Map(models.map((model) => [model.id, model]));
  return versions
    .filter(({ keyName }) => keyName === key)
    .toSorted((one, other) => one.sealedAt - other.sealedAt)
    .map((record) => {
      const { project = '', name = '' } = names.get(record.modelId) ?? {};
      return { record, label: labelOf({ project, model: name, number: record.number }) };
    });
}

/** Works on items until `limit` of them succeeded. What is wrong with one item is its failure; all else ends the work. */
async function upTo<Result>(
  limit: number,
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<{ done: readonly Result[]; failures: MoveResult['failures'] }> {
  const done: Result[] = [];
  const failures: { item: string; reason: string }[] = [];
  for (const item of items) {
    if (done.length >= limit) break;
    try {
      done.push(await work(item));
    } catch (error) {
      // A full disk or a broken database is not a fault of the item.
      if (!isProblem(error) || error.code.startsWith('storage.')) throw error;
      failures.push({ item: item.label, reason: error.detail });
    }
  }
  return { done, failures };
}

function replacementOf(
  { id: versionId, blob }: VersionRecord,
  artifact: SealedArtifact & Pick<VersionRecord, 'sealedAt'>,
): ArtifactReplacement {
  const { payloadBytes, header, keyName, keyVersion, sealedAt } = artifact;
  return {
    versionId,
    blob,
    artifact: { blob: artifact.blob, payloadBytes, header, keyName, keyVersion, sealedAt },
  };
}

function activeVersion(keyRing: Pick<KeyRing, 'list'>, key: string): number | undefined {
  const found = keyRing.list().find(({ name }) => name === key);
  return found?.versions.find(({ state }) => state === 'active')?.version;
}

function usageOf(records: readonly VersionRecord[]): KeyUsage[] {
  const [first] = records;
  if (first === undefined) return [];
  return [{ key: first.keyName, version: first.keyVersion, items: records.length }];
}
