import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditLog } from '../audit/audit-log.ts';
import { type AuditLogOptions, openAuditLog } from '../audit/log.ts';
import { cosigningSigner, createLogKeys, vkeysOf } from '../audit/key-overlap.ts';
import { createNoteSigner } from '../audit/note.ts';
import { createProver } from '../audit/receipt/prover.ts';
import { readPolicy } from '../audit/witness/policy-file.ts';
import { readState } from '../audit/state.ts';
import { openWitnessedLog } from '../audit/witness/witnessed-log.ts';
import { COSIGNED_FILE, createWitnessing, type WitnessingStatus } from '../audit/witness/witnessing.ts';
import type { Config } from '../config/config.ts';
import type { ManagedKeyRing, VersionedKey } from '../crypto/ring/key-ring.ts';
import type { WrappedPlace } from '../crypto/ring/wrapped-place.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { KeepPaths } from './keep-directory.ts';
import { cosignerUsage, type LogCosigner } from './log-cosigner.ts';

export interface OpenLogOptions {
  readonly paths: KeepPaths;
  readonly config: Config;
  readonly origin: string;
  /** Ed25519 private keys, the active one first. */
  readonly keys: readonly KeyObject[];
  readonly cosigner: Pick<LogCosigner, 'key' | 'check'>;
  readonly privacy: NonNullable<AuditLogOptions['privacy']>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The keep's log, watched by witnesses where the configuration names a policy. */
export async function openLog({
  paths,
  config,
  origin,
  keys,
  cosigner,
  privacy,
  clock,
  log,
}: OpenLogOptions): Promise<{ readonly log: AuditLog; readonly witnesses: () => WitnessingStatus }> {
  const { reserveBytes, witness, keyOverlapDays } = config.audit;
  const allKeys = cosigner.key === undefined ? keys : [...keys, cosigner.key];
  const [active, ...previousKeys] = allKeys;
  if (active === undefined) throw new TypeError('a log is signed with at least one key');
  cosigner.check(paths.log);
  const open = (): Promise<AuditLog> =>
    openAuditLog({
      directory: paths.log,
      signingKey: active,
      previousKeys,
      origin,
      clock,
      log,
      privacy,
      tuning: { keyOverlapMs: keyOverlapDays * DAY_MS },
      ...(reserveBytes > 0 && { reserve: { path: paths.reserve, bytes: reserveBytes } }),
    });
  if (witness.policy === undefined) {
    const opened = await open();
    return { log: opened, witnesses: () => ({ size: 0, cosigned: 0, waitingMs: 0, witnesses: [] }) };
  }
  const { active: signer, cosigner: second, verifiers } = createLogKeys(origin, allKeys);
  const opened = await openWitnessedLog({
    directory: paths.log,
    signers: second === undefined ? [signer] : [signer, cosigningSigner(second, clock.now())],
    open,
    witnessing: createWitnessing({
      directory: paths.log,
      logs: verifiers,
      policy: await readPolicy(witness.policy),
      prover: createProver({ directory: paths.log }),
      clock,
      log,
      ...(witness.requireQuorumWithinMs !== undefined && {
        requireQuorumWithinMs: witness.requireQuorumWithinMs,
      }),
    }),
  });
  return { log: opened, witnesses: () => opened.witnesses() };
}

const DAY_MS = 86_400_000;

/** Ring key, of purpose `sign`. */
export const LOG_KEY = 'audit-log';

/** The versions that may be the log's: the active one first, then older ones, newest first, but none that was stolen. */
export function logKeysOf(ring: Pick<ManagedKeyRing, 'find' | 'signingKey'>): readonly VersionedKey[] {
  const versions = ring.find(LOG_KEY)?.versions ?? [];
  const older = versions.filter(({ state }) => state === 'decrypt-only').toReversed();
  return [ring.signingKey(LOG_KEY), ...older.map(({ version }) => ring.signingKey(LOG_KEY, version))];
}

/** The log as a place of the ring: it needs the versions that sign it, and changes to the active one when it is opened. */
export function createLogKeyPlace(
  directory: string,
  origin: string,
  ring: Pick<ManagedKeyRing, 'find' | 'signingKey'>,
): WrappedPlace {
  return {
    name: 'signatures of the audit log',
    rewrapping: 'on-use',
    usage() {
      const found = readState(directory);
      const vkeys: readonly string[] = found === undefined ? [] : vkeysOf(found.state);
      const used = logKeysOf(ring).filter(({ key }) => vkeys.includes(createNoteSigner(origin, key).vkey));
      const usage = used.map(({ version }) => ({ key: LOG_KEY, version, items: 1 }));
      const cosigned = found === undefined ? [] : cosignerUsage(found.state.checkpoint, origin, ring);
      return Promise.resolve([...usage, ...cosigned]);
    },
  };
}

/** The newest checkpoint to give away: the one that witnesses have cosigned, where there is one. */
export async function readPublished(directory: string): Promise<string> {
  for (const file of [COSIGNED_FILE, 'checkpoint']) {
    try {
      return await readFile(join(directory, file), 'utf8');
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    }
  }
  throw new Error(`${directory} holds no checkpoint`);
}
