import type { AuditLog } from '../audit/audit-log.ts';
import type { KeyFacts, KeyPurpose, KeyVersionFacts, ManagedKeyRing } from '../crypto/ring/key-ring.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import type { WrappedPlace } from '../crypto/ring/wrapped-place.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { Database } from '../storage/database.ts';
import { type JobControl, type PlaceResult, runJob } from './job.ts';
import { activeVersion, type KeyReport, readUsage, reportOf } from './key-report.ts';
import { keysProblems } from './problems.ts';
import { type Every, everyOnTimer, startRotation } from './rotation.ts';
import { readSetting, removeSetting, writeSetting } from './settings.ts';

/** The life of the keep's keys, over everything that is sealed under them. */
export interface KeyService {
  list(): Promise<readonly KeyReport[]>;
  /** Throws `keys.not_found`, as all that follow do for a key or version that is not there. */
  get(key: string): Promise<KeyReport>;
  /** Throws `crypto.key_exists`. */
  create(key: string, purpose: KeyPurpose, rotateDays?: number | null): Promise<KeyReport>;
  setRotateDays(key: string, rotateDays: number | null): Promise<KeyReport>;
  /**
   * New data goes under a new version from now on. Throws `crypto.rotation_refused` for signing keys whose verifiers
   * nobody tells of a new one.
   */
  rotate(key: string): Promise<KeyReport>;
  /** Marking the active version compromised rotates the key in the same step. */
  setState(key: string, version: number, state: 'compromised' | 'decrypt-only'): Promise<KeyReport>;
  /**
   * Puts everything that names another version under the active one, data keys unchanged, while the keep serves on.
   * Throws `keys.job_running`. Going on after an abort or a kill is calling it again.
   */
  rewrap(key: string, control?: JobControl): Promise<JobReport>;
  /** Encrypts everything under the key anew, with new data keys. As `rewrap`, and `keys.clock_behind`. */
  reencrypt(key: string, control?: JobControl): Promise<JobReport>;
  /**
   * Removes a version's material for good. Throws `keys.version_in_use` while any place names it, naming place and count,
   * `keys.version_recent` shortly after a rotation, and `crypto.key_version_active`.
   */
  destroy(key: string, version: number): Promise<KeyReport>;
  /** The age recipient of a `wrap` key. Throws `keys.not_for_export` for others. */
  recipient(key: string): { readonly version: number; readonly recipient: string };
  /** Rotates every key that is due; answers their names. Runs at start and every hour. */
  rotateDue(): Promise<readonly string[]>;
  /** Ends the timer, and a running job after its batch. */
  close(): Promise<void>;
}

export interface JobReport {
  readonly key: string;
  /** The version that items were put under. */
  readonly version: number;
  /** False: call again to go on. */
  readonly finished: boolean;
  readonly moved: number;
  /** Those that hold something under the key. */
  readonly places: readonly (PlaceResult & {
    /** Items that still name another version than the active one. */
    readonly left: number;
  })[];
}

export interface KeyServiceOptions {
  readonly ring: ManagedKeyRing;
  readonly places: readonly WrappedPlace[];
  /** Signing keys that may be rotated: their user announces a new version under the old one when it opens next. */
  readonly announced?: ReadonlySet<string>;
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Log;
  /** Automatic rotations leave entries there. */
  readonly audit: Pick<AuditLog, 'append'>;
  /** For tests. */
  readonly every?: Every;
  /** How long a version stays after its rotation before it can be destroyed: requests in flight seal under it. */
  readonly settleMs?: number;
}

/** Headers are small. */
export const REWRAP_BATCH = 200;
/** A payload may be gigabytes; resealed values are small. */
const REENCRYPT_BATCH = { rewrap: 1, reseal: 200, 'on-use': 0 } as const;
const SETTLE_MS = 10 * 60_000;

/** Rotates what is due, tells of a reencryption that was interrupted, and serves. */
export async function createKeyService(options: KeyServiceOptions): Promise<KeyService> {
  const { ring, places, database, clock, log, settleMs = SETTLE_MS, every = everyOnTimer } = options;
  const closing = new AbortController();
  let job: Promise<unknown> | undefined;

  const find = (key: string): KeyFacts => {
    const found = ring.find(key);
    if (found === undefined) throw keysProblems.not_found(`there is no key "${key}"`);
    return found;
  };
  const findVersion = (key: string, version: number): KeyVersionFacts => {
    const found = find(key).versions[version - 1];
    if (found === undefined) throw keysProblems.not_found(`the key "${key}" has no version ${version}`);
    return found;
  };
  const get = async (key: string): Promise<KeyReport> =>
    reportOf(find(key), await readUsage(places), await pendingSince(database, key));

  /** `work` with a signal that also ends with the service. */
  const alone = async <T>(control: JobControl, work: (control: JobControl) => Promise<T>): Promise<T> => {
    if (job !== undefined) throw keysProblems.job_running('a rewrap or reencrypt is running');
    const signals = [closing.signal, ...(control.signal === undefined ? [] : [control.signal])];
    const running = work({ ...control, signal: AbortSignal.any(signals) });
    job = running.catch(() => {});
    try {
      return await running;
    } finally {
      job = undefined;
    }
  };

  const reportJob = async (
    key: string,
    { finished, places: results }: Awaited<ReturnType<typeof runJob>>,
  ): Promise<JobReport> => {
    const usage = await readUsage(places);
    const counts = find(key).versions.flatMap(({ version, state }) =>
      usage.of(key, version).map((count) => ({ ...count, isOld: state !== 'active' })),
    );
    const leftIn = (name: string): number =>
      counts.filter(({ place, isOld }) => isOld && place === name).reduce((sum, { items }) => sum + items, 0);
    /** Places of other keys were asked as well, and had nothing to say. */
    const holds = new Set(counts.map(({ place }) => place));
    return {
      key,
      version: activeVersion(find(key))?.version ?? 0,
      finished,
      moved: results.reduce((sum, { moved }) => sum + moved, 0),
      places: results
        .filter(({ place, moved, failures }) => holds.has(place) || moved > 0 || failures.length > 0)
        .map((result) => ({ ...result, left: leftIn(result.place) })),
    };
  };

  const rewrap = async (key: string, control: JobControl): Promise<JobReport> => {
    const result = await runJob(
      places,
      (place) => place.rewrap && (() => place.rewrap?.(key, REWRAP_BATCH) ?? NOTHING),
      () => clock.monotonic(),
      control,
    );
    return reportJob(key, result);
  };

  const reencrypt = async (key: string, control: JobControl): Promise<JobReport> => {
    const since = await beginReencryption(key);
    const step = (place: WrappedPlace) =>
      place.reencrypt && (() => place.reencrypt?.(key, since, REENCRYPT_BATCH[place.rewrapping]) ?? NOTHING);
    const result = await runJob(places, step, () => clock.monotonic(), control);
    if (result.finished && result.places.every(({ failures }) => failures.length === 0)) {
      await removeSetting(database, settingOf(key));
    }
    return reportJob(key, result);
  };

  /** What was encrypted before the time this answers is to be encrypted anew. */
  const beginReencryption = async (key: string): Promise<number> => {
    const begun = await pendingSince(database, key);
    // After a rotation, what an interrupted run has done is under an old version again: that run is not gone on with.
    const goesOn = begun !== null && begun >= (activeVersion(find(key))?.createdAt ?? 0);
    const since = goesOn ? begun : clock.now();
    if (clock.now() < since) {
      throw keysProblems.clock_behind(`the clock is behind ${new Date(since).toISOString()}`);
    }
    if (!goesOn) await writeSetting(database, settingOf(key), String(since));
    return since;
  };

  const rotation = startRotation({ ...options, every });
  await rotation.check();
  for (const { name } of ring.list()) {
    const since = await pendingSince(database, name);
    if (since !== null)
      log.warn('keys.reencrypt_unfinished', { key: name, since: new Date(since).toISOString() });
  }

  return {
    get,
    async list() {
      const usage = await readUsage(places);
      return Promise.all(
        ring.list().map(async (key) => reportOf(key, usage, await pendingSince(database, key.name))),
      );
    },
    async create(key, purpose, rotateDays) {
      await ring.create(key, purpose, rotateDays === undefined ? {} : { rotateDays });
      return get(key);
    },
    async setRotateDays(key, rotateDays) {
      find(key);
      await ring.setRotateDays(key, rotateDays);
      return get(key);
    },
    async rotate(key) {
      if (find(key).purpose === 'sign' && options.announced?.has(key) !== true) {
        throw ringProblems.rotation_refused(
          `the key "${key}" signs: its verifiers must be told of a new one before it is used`,
        );
      }
      await ring.rotate(key);
      return get(key);
    },
    async setState(key, version, state) {
      if (findVersion(key, version).state === 'destroyed') {
        throw keysProblems.not_found(`version ${version} of the key "${key}" was destroyed`);
      }
      await ring.setState(key, version, state);
      return get(key);
    },
    async rewrap(key, control = {}) {
      find(key);
      return alone(control, (controlled) => rewrap(key, controlled));
    },
    async reencrypt(key, control = {}) {
      find(key);
      return alone(control, (controlled) => reencrypt(key, controlled));
    },
    async destroy(key, version) {
      const { state } = findVersion(key, version);
      if (state === 'decrypt-only' || state === 'compromised') {
        assertSettled(find(key), version);
        const counts = (await readUsage(places)).of(key, version);
        if (counts.length > 0) {
          const named = counts.map(({ place, items }) => `${place} (${items})`).join(', ');
          throw keysProblems.version_in_use(`version ${version} of the key "${key}" is used by: ${named}`, {
            members: { places: counts.map(({ place, items }) => `${place}: ${items}`) },
          });
        }
      }
      await ring.destroy(key, version);
      return get(key);
    },
    recipient(key) {
      const { purpose } = find(key);
      if (purpose === 'wrap') return ring.recipient(key);
      throw keysProblems.not_for_export(`the key "${key}" is for ${purpose}`);
    },
    rotateDue: () => rotation.check(),
    async close() {
      closing.abort();
      await rotation.stop();
      await job;
    },
  };

  /** A version stops being active when the next one is made. */
  function assertSettled({ name, versions }: KeyFacts, version: number): void {
    const retiredAt = versions[version]?.createdAt ?? 0;
    const waitMs = retiredAt + settleMs - clock.now();
    if (waitMs <= 0) return;
    throw keysProblems.version_recent(
      `version ${version} of the key "${name}" can be destroyed in ${Math.ceil(waitMs / 1000)} seconds`,
    );
  }
}

const NOTHING = Promise.resolve({ moved: 0, failures: [] });

function settingOf(key: string): string {
  return `keys.reencrypt/${key}`;
}

async function pendingSince(database: Database, key: string): Promise<number | null> {
  const value = await readSetting(database, settingOf(key));
  return value === undefined ? null : Number(value);
}
