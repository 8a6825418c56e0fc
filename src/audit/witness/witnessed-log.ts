import type { AuditLog } from '../audit-log.ts';
import { signCheckpoint } from '../checkpoint.ts';
import type { NoteSigner } from '../note.ts';
import { auditProblems } from '../problems.ts';
import { readState } from '../state.ts';
import { EMPTY_ROOT } from '../tree.ts';
import type { Witnessing, WitnessingStatus } from './witnessing.ts';

export interface WitnessedLogOptions<Opened extends AuditLog> {
  /** `log/` of the keep. */
  readonly directory: string;
  /** The log's present keys: for a log that is not there, to ask the witnesses whether there ever was one. */
  readonly signers: readonly [NoteSigner, ...NoteSigner[]];
  readonly witnessing: Witnessing;
  readonly open: () => Promise<Opened>;
}

/**
 * Opens an audit log that witnesses watch: they are asked first, so that a log that was rolled back is neither added to
 * nor signed again. Rejects with `audit.rolled_back`, or as `open` does. Appending rejects with `audit.unavailable` for
 * as long as the witnessing is stopped, and never waits for a witness.
 */
export async function openWitnessedLog<Opened extends AuditLog>({
  directory,
  signers,
  witnessing,
  open,
}: WitnessedLogOptions<Opened>): Promise<Opened & { witnesses(): WitnessingStatus }> {
  try {
    const [{ name: origin }] = signers;
    const empty = (): string => signCheckpoint({ origin, size: 0, root: EMPTY_ROOT }, signers);
    await witnessing.check(readState(directory)?.state.checkpoint ?? empty());
    const opened = await open();
    witnessing.follow(() => opened.checkpoint());
    // What was durable and unsealed when the log was left.
    witnessing.wake();
    return {
      ...opened,
      async append(draft) {
        const reason = witnessing.stopped();
        if (reason !== undefined) throw auditProblems.unavailable(`The audit log has stopped: ${reason}.`);
        const appended = await opened.append(draft);
        witnessing.wake();
        return appended;
      },
      /** A refusal changes nothing but the log, so it is recorded even then. */
      async appendRefusal(draft) {
        const appended = await opened.appendRefusal(draft);
        witnessing.wake();
        return appended;
      },
      readiness() {
        const { ready, reasons } = opened.readiness();
        return witnessing.stopped() === undefined
          ? { ready, reasons }
          : { ready: false, reasons: [...reasons, 'the audit log lacks its witnesses'] };
      },
      available: () => opened.available() && witnessing.stopped() === undefined,
      reason: () => opened.reason() ?? witnessing.stopped(),
      witnesses: () => witnessing.status(),
      async close() {
        await witnessing.close();
        await opened.close();
      },
    };
  } catch (error) {
    await witnessing.close();
    throw error;
  }
}
