import type { AuditLog } from '../audit/audit-log.ts';
import type { KeyFacts, ManagedKeyRing } from '../crypto/ring/key-ring.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { Database } from '../storage/database.ts';
import { rotationDue } from './key-report.ts';

/** Calls `work` every `ms` until the function it answers is called. */
export type Every = (ms: number, work: () => void) => () => void;

export const everyOnTimer: Every = (ms, work) => {
  const timer = setInterval(work, ms).unref();
  return () => clearInterval(timer);
};

export interface Rotation {
  /** Rotates what is due; answers the names. A key that cannot be rotated is told to the operator's log. */
  check(): Promise<readonly string[]>;
  /** After a check that is under way. */
  stop(): Promise<void>;
}

const CHECK_MS = 60 * 60_000;

/** Rotation by age, and by use for keys that may seal only so much. */
export function startRotation({
  ring,
  database,
  clock,
  log,
  audit,
  every,
}: {
  readonly ring: Pick<ManagedKeyRing, 'list' | 'rotate'>;
  readonly database: Pick<Database, 'asEffectOf'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly every: Every;
}): Rotation {
  let checking: Promise<readonly string[]> = Promise.resolve([]);

  const checkAll = async (): Promise<readonly string[]> => {
    const rotated: string[] = [];
    for (const key of ring.list()) {
      const due = rotationDue(key, clock.now());
      if (due === undefined) continue;
      try {
        await rotate(key, due);
        rotated.push(key.name);
      } catch (error) {
        log.error('keys.rotation_failed', {
          key: key.name,
          error: error instanceof Error ? error : String(error),
        });
      }
    }
    return rotated;
  };

  /** No effect without an entry, as for a person's rotation. */
  const rotate = async ({ name, versions }: KeyFacts, due: 'age' | 'uses'): Promise<void> => {
    const entry = {
      action: 'key.rotate',
      principal: { kind: 'system', name: 'rotation' },
      resource: `/keys/${name}`,
      detail: { version: versions.length + 1, due },
    } as const;
    const { id } = await audit.append({ ...entry, phase: 'start', decision: 'allow', reason: 'allowed' });
    try {
      await database.asEffectOf(id, () => ring.rotate(name));
    } catch (error) {
      await audit.append({
        ...entry,
        phase: 'end',
        of: id,
        decision: 'error',
        reason: 'keys.rotation_failed',
      });
      throw error;
    }
    await audit.append({ ...entry, phase: 'end', of: id, decision: 'allow', reason: 'allowed' });
    log.info('keys.rotated', { key: name, version: versions.length + 1, due });
  };

  const check = (): Promise<readonly string[]> => {
    checking = checking.then(checkAll);
    return checking;
  };

  const stop = every(CHECK_MS, () => void check());
  return {
    check,
    async stop() {
      stop();
      await checking;
    },
  };
}
