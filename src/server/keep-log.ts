import type { KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AuditLog } from '../audit/audit-log.ts';
import { type AuditLogOptions, openAuditLog } from '../audit/log.ts';
import { createNoteSigner, parseVerifierKey } from '../audit/note.ts';
import { createProver } from '../audit/receipt/prover.ts';
import { parsePolicy } from '../audit/witness/policy.ts';
import { openWitnessedLog } from '../audit/witness/witnessed-log.ts';
import { COSIGNED_FILE, createWitnessing, type WitnessingStatus } from '../audit/witness/witnessing.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { KeepPaths } from './keep-directory.ts';

export interface OpenLogOptions {
  readonly paths: KeepPaths;
  readonly config: Config;
  readonly origin: string;
  /** Ed25519 private key. */
  readonly key: KeyObject;
  readonly privacy: NonNullable<AuditLogOptions['privacy']>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The keep's log, watched by witnesses where the configuration names a policy. */
export async function openLog({
  paths,
  config,
  origin,
  key,
  privacy,
  clock,
  log,
}: OpenLogOptions): Promise<{ readonly log: AuditLog; readonly witnesses: () => WitnessingStatus }> {
  const { reserveBytes, witness } = config.audit;
  const open = (): Promise<AuditLog> =>
    openAuditLog({
      directory: paths.log,
      signingKey: key,
      origin,
      clock,
      log,
      privacy,
      ...(reserveBytes > 0 && { reserve: { path: paths.reserve, bytes: reserveBytes } }),
    });
  if (witness.policy === undefined) {
    const opened = await open();
    return { log: opened, witnesses: () => ({ size: 0, cosigned: 0, waitingMs: 0, witnesses: [] }) };
  }
  const signer = createNoteSigner(origin, key);
  const verifier = parseVerifierKey(signer.vkey);
  if (verifier === undefined) throw new TypeError('the key of the log is no verifier key');
  const opened = await openWitnessedLog({
    directory: paths.log,
    signer,
    open,
    witnessing: createWitnessing({
      directory: paths.log,
      logs: [verifier],
      policy: parsePolicy(await readFile(witness.policy)),
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
