import type { KeyObject } from 'node:crypto';
import type { AuditLog } from '../audit/audit-log.ts';
import { openCheckpoint } from '../audit/checkpoint.ts';
import { NoteError, parseNote, parseVerifierKey } from '../audit/note.ts';
import { auditProblems } from '../audit/problems.ts';
import { readState, STATE_FILE } from '../audit/state.ts';
import { createCosigner } from '../audit/witness/cosignature.ts';
import type { ManagedKeyRing, VersionedKey } from '../crypto/ring/key-ring.ts';
import type { KeyUsage } from '../crypto/ring/wrapped-place.ts';
import { readSetting, removeSetting, writeSetting } from '../keys/settings.ts';
import type { Database } from '../storage/database.ts';

/** Ring key, of purpose `sign`, used with ML-DSA-44 alone. */
export const POST_QUANTUM_LOG_KEY = 'audit-log-pq';

/** Setting: the verifier key of the ML-DSA-44 line that checkpoints had when the keep was opened last. */
const SETTING = 'audit.postQuantum';

/** The second line of checkpoints, as the configuration wants it now. */
export interface LogCosigner {
  /** ML-DSA-44 private key; absent: no line. */
  readonly key?: KeyObject;
  /**
   * Throws `audit.log_corrupt` if the log in `directory` is left without the line that it must have: whoever can forge
   * Ed25519 alone does not get the key to sign over a log of his.
   */
  check(directory: string): void;
  /** Records that checkpoints have the line from now on, or have it no more. A log that begins with it says nothing. */
  record(audit: Pick<AuditLog, 'append' | 'size'>): Promise<void>;
}

export interface LogCosignerOptions {
  readonly enabled: boolean;
  readonly origin: string;
  readonly ring: Pick<ManagedKeyRing, 'ensure' | 'signingKey'>;
  readonly database: Database;
}

export async function openLogCosigner({
  enabled,
  origin,
  ring,
  database,
}: LogCosignerOptions): Promise<LogCosigner> {
  if (enabled) await ring.ensure(POST_QUANTUM_LOG_KEY, 'sign');
  const key = enabled ? signingKey(ring).key : undefined;
  const vkey = key && createCosigner(origin, key).vkey;
  const before = await readSetting(database, SETTING);
  return {
    ...(key !== undefined && { key }),
    check(directory) {
      const verifier = vkey === undefined || vkey !== before ? undefined : parseVerifierKey(vkey);
      const found = verifier && readState(directory);
      if (verifier === undefined || found === undefined) return;
      try {
        openCheckpoint(found.state.checkpoint, verifier);
      } catch (error) {
        if (!(error instanceof NoteError)) throw error;
        throw auditProblems.log_corrupt(`${STATE_FILE}: ${error.message}`, { cause: error });
      }
    },
    async record(audit) {
      if (vkey === before) return;
      const changed = vkey ?? before ?? '';
      // The setting last: cut off in between, the entry stands there twice rather than never.
      if (audit.size() > 0)
        await audit.append({ ...CONFIGURED, detail: { postQuantum: enabled, vkey: changed } });
      if (vkey === undefined) await removeSetting(database, SETTING);
      else await writeSetting(database, SETTING, vkey);
    },
  };
}

/** The version that the checkpoint needs; the key is never rotated, so there is one at most. */
export function cosignerUsage(
  checkpoint: string,
  origin: string,
  ring: Pick<ManagedKeyRing, 'find' | 'signingKey'>,
): readonly KeyUsage[] {
  if (ring.find(POST_QUANTUM_LOG_KEY) === undefined) return [];
  const { version, key } = signingKey(ring);
  const verifier = parseVerifierKey(createCosigner(origin, key).vkey);
  const isUsed = parseNote(checkpoint).signatures.some(({ keyId }) => keyId === verifier?.keyId);
  return isUsed ? [{ key: POST_QUANTUM_LOG_KEY, version, items: 1 }] : [];
}

const signingKey = (ring: Pick<ManagedKeyRing, 'signingKey'>): VersionedKey =>
  ring.signingKey(POST_QUANTUM_LOG_KEY, undefined, { algorithm: 'ml-dsa-44' });

const CONFIGURED = {
  phase: 'single',
  action: 'audit.configure',
  principal: { kind: 'system' },
  resource: '/audit',
  decision: 'allow',
  reason: 'allowed',
} as const;
