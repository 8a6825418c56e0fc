import type { ManagedKeyRing } from '../crypto/ring/key-ring.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import type { Log } from '../kernel/log.ts';
import type { Database } from '../storage/database.ts';
import { readSetting, writeSetting } from './settings.ts';

export interface RingGenerationOptions {
  readonly ring: Pick<ManagedKeyRing, 'generation' | 'onWrite'>;
  readonly database: Database;
  readonly log: Log;
  /** A generation, lower than the one seen last, that is accepted: exactly this one, so that no other passes with it. */
  readonly acceptGeneration?: number | undefined;
}

const SETTING = 'keyring.generation';

/**
 * Holds the ring against the generation that the database has seen last, and records each new one. An older file put in
 * its place would lack newer keys and bring destroyed ones back. Throws `crypto.keyring_rolled_back`.
 */
export async function watchRingGeneration(options: RingGenerationOptions): Promise<void> {
  const { ring, database, log, acceptGeneration } = options;
  const found = ring.generation();
  const seen = Number((await readSetting(database, SETTING)) ?? 0);
  if (found < seen && found !== acceptGeneration) {
    throw ringProblems.keyring_rolled_back(
      `keyring.age has generation ${found}, and this keep has already used generation ${seen}`,
      { members: { found, seen } },
    );
  }
  if (found < seen) log.warn('keys.rollback_accepted', { found, seen });
  if (found !== seen) await writeSetting(database, SETTING, String(found));
  ring.onWrite(async (generation) => {
    try {
      await writeSetting(database, SETTING, String(generation));
    } catch (error) {
      // The ring is written: to fail the change now would deny what has happened. The next write or start records it.
      log.error('keys.generation_not_recorded', {
        generation,
        error: error instanceof Error ? error : String(error),
      });
    }
  });
}
