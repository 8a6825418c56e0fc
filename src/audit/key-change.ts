import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { AuditLog } from './audit-log.ts';
import type { KeyChange, Sealer } from './sealer.ts';
import { keyRotationDraft } from './witness/key-rotation.ts';

export interface KeyChangeOptions {
  readonly change: KeyChange;
  readonly append: AuditLog['append'];
  readonly sealer: Pick<Sealer, 'seal' | 'rotate'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly overlapMs: number;
  readonly log: Log;
}

/**
 * Begins to change the key of a log: the entry that names the new one is under a checkpoint of the old one before the
 * new one signs anything. Cut off anywhere, it goes on when the log is opened again. Nothing else may be appended
 * meanwhile: the last entry tells whether the change was announced.
 */
export async function changeKey(options: KeyChangeOptions): Promise<void> {
  const { change, append, sealer, clock, overlapMs, log } = options;
  const { from, to, announced } = change;
  let until = announced ?? 0;
  if (until <= clock.now()) {
    until = clock.now() + overlapMs;
    const { index } = await append(keyRotationDraft({ from, to, overlapUntil: until }));
    await sealer.seal(index + 1);
  }
  await sealer.rotate({ to, until });
  log.warn('audit.key_rotation_begun', { from, to, until: new Date(until).toISOString() });
}
