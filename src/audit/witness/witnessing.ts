import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fillDurably } from '../../crypto/durable-file.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import { openCheckpoint, parseCheckpoint } from '../checkpoint.ts';
import { readLogFile } from '../log-files.ts';
import { NoteError, type NoteVerifier, parseNote, verifyNote } from '../note.ts';
import { createWitnessClient, type WitnessClient } from './client.ts';
import type { Policy, PolicyWitness } from './policy.ts';
import { witnessProblems } from './problems.ts';
import { type ConsistencyProver, type Obtained, obtainCosignature } from './submission.ts';

/** Has the checkpoints of a log cosigned by the witnesses of its policy, in the background. */
export interface Witnessing {
  /**
   * Shows the witnesses the checkpoint that the log was left with, before anything is added to it. Rejects with
   * `audit.rolled_back` if one of them, or an earlier cosigned checkpoint, has seen more than that or something else.
   * A witness that cannot be reached is passed over.
   */
  check(checkpoint: string): Promise<void>;
  /** From now on, after each `wake`, has what `checkpoint` gives cosigned. It must cover what was durable at the call. */
  follow(checkpoint: () => Promise<string>): void;
  /** Entries became durable. Returns at once. */
  wake(): void;
  /** Why nothing may be recorded any more: no quorum in time, or a proof that the log has a second history. */
  stopped(): string | undefined;
  status(): WitnessingStatus;
  /** Ends what is under way. */
  close(): Promise<void>;
}

export interface WitnessingStatus {
  /** Entries under the newest checkpoint that was submitted, and under the newest one with a quorum. */
  readonly size: number;
  readonly cosigned: number;
  /** How long the oldest entry without a quorum has waited, milliseconds; 0 if there is none. */
  readonly waitingMs: number;
  readonly stopped?: string;
  readonly witnesses: readonly WitnessState[];
}

export interface WitnessState {
  readonly name: string;
  readonly url: string;
  /** Entries under the checkpoint that it cosigned last; 0 before the first. */
  readonly size: number;
  /** When it did, by its own clock, seconds since 1970. */
  readonly time?: number;
  /** What is wrong with it now. */
  readonly failure?: string;
}

export interface WitnessingOptions {
  /** `log/` of the keep. */
  readonly directory: string;
  readonly policy: Policy;
  /** Keys of the log: the present one, and old ones while their signatures count. */
  readonly logs: readonly NoteVerifier[];
  readonly prover: ConsistencyProver;
  readonly clock: Clock;
  readonly log: Log;
  /** If the oldest entry without a quorum has waited longer, the log stops. Absent: it never does. */
  readonly requireQuorumWithinMs?: number | undefined;
  readonly tuning?: Partial<WitnessingTuning>;
}

export interface WitnessingTuning {
  /** From one round of submissions to the next, at least. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** A witness that fails is left alone for `intervalMs`, then twice as long each time, up to this. */
  readonly pauseMsMax: number;
  /** Resolves after `ms`; rejects when `signal` fires. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
}

const TUNING: WitnessingTuning = {
  intervalMs: 10_000,
  timeoutMs: 10_000,
  pauseMsMax: 300_000,
  wait: (ms, signal) => setTimeout(ms, undefined, { signal, ref: false }),
};

/** The newest checkpoint with a quorum of cosignatures, below the log directory. */
export const COSIGNED_FILE = 'checkpoint.cosigned';

interface Peer {
  readonly witness: PolicyWitness & { readonly url: string };
  readonly client: WitnessClient;
  size: number;
  time?: number;
  failure?: string;
  failures: number;
  /** By the monotonic clock. */
  retryAt: number;
}

/** Throws `audit.witness_policy` if a witness has no address, or the policy is for other logs. */
export function createWitnessing(options: WitnessingOptions): Witnessing {
  const { directory, policy, logs, prover, clock, log, requireQuorumWithinMs } = options;
  const tuning = { ...TUNING, ...options.tuning };
  const ending = new AbortController();
  const peers = policy.witnesses.map((each) => peerOf(each));
  checkPolicy(policy, logs);
  let running: Promise<void> = Promise.resolve();
  let bell = Promise.withResolvers<void>();
  /** The checkpoint that is being cosigned, and the lines it has got, by the name of the witness. */
  let current:
    | { readonly note: string; readonly text: string; readonly lines: Map<string, string> }
    | undefined;
  let stored: { readonly text: string; readonly lines: number } | undefined;
  let size = 0;
  let cosigned = 0;
  /** Since when the oldest entry waits: of those that no checkpoint was asked for yet, and of those in `current`. */
  let unasked: number | undefined;
  let asked: number | undefined;
  let divided: string | undefined;

  return {
    async check(checkpoint) {
      compareWithStored(checkpoint);
      take(checkpoint);
      asked = clock.monotonic();
      for (const { peer, obtained } of await gather()) {
        if (obtained.kind === 'disagrees')
          throw rolledBack(`the witness ${peer.witness.name} ${obtained.reason}`);
      }
      await settle();
    },
    follow(checkpoint) {
      running = run(checkpoint).catch((error: Error) => {
        if (!ending.signal.aborted) log.error('audit.witnessing_failed', { error });
      });
    },
    wake() {
      unasked ??= clock.monotonic();
      bell.resolve();
    },
    stopped,
    status: () => {
      const stop = stopped();
      return {
        size,
        cosigned,
        waitingMs: waitingMs(),
        ...(stop !== undefined && { stopped: stop }),
        witnesses: peers.map(({ witness, size, time, failure }) => ({
          name: witness.name,
          url: witness.url,
          size,
          ...(time !== undefined && { time }),
          ...(failure !== undefined && { failure }),
        })),
      };
    },
    async close() {
      ending.abort();
      bell.resolve();
      await running;
    },
  };

  function peerOf(witness: PolicyWitness): Peer {
    const { name, url, verifier } = witness;
    if (url === undefined) throw witnessProblems.witness_policy(`the witness ${name} has no address`);
    const { timeoutMs } = tuning;
    const client = createWitnessClient({ url, verifier, timeoutMs, signal: ending.signal });
    return { witness: { ...witness, url }, client, size: 0, failures: 0, retryAt: -Infinity };
  }

  function stopped(): string | undefined {
    if (divided !== undefined) return divided;
    const limit = requireQuorumWithinMs;
    if (limit === undefined || waitingMs() <= limit) return undefined;
    return `no quorum of witnesses has cosigned the log for more than ${limit / 1000} s`;
  }

  function waitingMs(): number {
    const since = asked ?? unasked;
    return since === undefined ? 0 : clock.monotonic() - since;
  }

  /** A cosigned checkpoint that lies beside a log it does not fit: only the log was put back. */
  function compareWithStored(checkpoint: string): void {
    const text = readLogFile(directory, COSIGNED_FILE)?.toString();
    if (text === undefined) return;
    try {
      const before = openCheckpoint(text, logs);
      const now = parseCheckpoint(parseNote(checkpoint).text);
      cosigned = before.size;
      const isRewritten = before.size === now.size && Buffer.compare(before.root, now.root) !== 0;
      if (before.origin !== now.origin || (before.size <= now.size && !isRewritten)) return;
      throw rolledBack(
        isRewritten
          ? `${COSIGNED_FILE} has another history of the first ${now.size} entries`
          : `${COSIGNED_FILE} is of ${before.size} entries, this log has ${now.size}`,
      );
    } catch (error) {
      if (!(error instanceof NoteError)) throw error;
      log.warn('audit.cosigned_checkpoint_damaged', { error });
    }
  }

  async function run(checkpoint: () => Promise<string>): Promise<void> {
    while (!ending.signal.aborted) {
      try {
        await renew(checkpoint);
        await gather();
        await settle();
      } catch (error) {
        log.error('audit.witnessing_failed', { error: error as Error });
      }
      await tuning.wait(tuning.intervalMs, ending.signal);
      if (unasked === undefined && peers.every(({ witness }) => current?.lines.has(witness.name)))
        await bell.promise;
    }
  }

  async function renew(checkpoint: () => Promise<string>): Promise<void> {
    const since = unasked;
    if (since === undefined) return;
    // Before the call: what becomes durable during it may not be covered, and waits anew.
    unasked = undefined;
    asked ??= since;
    bell = Promise.withResolvers();
    try {
      take(await checkpoint());
    } catch (error) {
      unasked = since;
      throw error;
    }
  }

  function take(note: string): void {
    const { text } = parseNote(note);
    if (text === current?.text) return;
    current = { note, text, lines: new Map() };
    ({ size } = parseCheckpoint(text));
  }

  /** Asks every witness that is due and has not cosigned yet, all at once. */
  async function gather(): Promise<readonly Answered[]> {
    const target = current;
    if (target === undefined) return [];
    const now = clock.monotonic();
    const due = peers.filter(({ witness, retryAt }) => !target.lines.has(witness.name) && retryAt <= now);
    const answers = await Promise.all(due.map((peer) => ask(peer, target.note)));
    for (const { peer, obtained } of answers) {
      if (obtained.kind === 'cosigned') target.lines.set(peer.witness.name, obtained.line);
    }
    return answers;
  }

  /** Keeps what was given, if it is enough. */
  async function settle(): Promise<void> {
    if (current === undefined || !policy.hasQuorum(new Set(current.lines.keys()))) return;
    // Of an empty log there is nothing to show, and perhaps no directory yet.
    if (size > 0) await keep(current.note, current.text, [...current.lines.values()]);
    asked = undefined;
    cosigned = Math.max(cosigned, size);
  }

  async function ask(peer: Peer, checkpoint: string): Promise<Answered> {
    const { client, size: known } = peer;
    const obtained = await obtainCosignature({ client, prover, logs, checkpoint, known }).catch(
      (error: Error): Obtained => ({ kind: 'failed', reason: error.message }),
    );
    const { name } = peer.witness;
    if (obtained.kind === 'cosigned') {
      if (peer.failures > 0) log.info('audit.witness_recovered', { witness: name });
      Object.assign(peer, { size, time: obtained.time, failures: 0, retryAt: -Infinity });
      delete peer.failure;
      return { peer, obtained };
    }
    if (ending.signal.aborted) return { peer, obtained };
    const { reason } = obtained;
    if (peer.failure !== reason) log.warn('audit.witness_failed', { witness: name, reason });
    peer.failure = reason;
    const pauseMs = Math.min(tuning.intervalMs * 2 ** Math.min(peer.failures, 30), tuning.pauseMsMax);
    peer.failures++;
    peer.retryAt = clock.monotonic() + pauseMs;
    if (obtained.kind === 'disagrees' && obtained.evidence !== undefined) {
      divided ??= `the witness ${name} ${reason}, and the log itself has signed that`;
      log.error('audit.rolled_back', { witness: name, reason, evidence: obtained.evidence });
    }
    return { peer, obtained };
  }

  async function keep(note: string, text: string, lines: readonly string[]): Promise<void> {
    if (stored?.text === text && stored.lines === lines.length) return;
    const bytes = Buffer.from(note + lines.map((line) => `${line}\n`).join(''));
    await fillDurably({ path: join(directory, COSIGNED_FILE), replace: true }, async (file) => {
      await file.writeFile(bytes);
    });
    stored = { text, lines: lines.length };
  }
}

interface Answered {
  readonly peer: Peer;
  readonly obtained: Obtained;
}

/**
 * The checkpoint in a note that a log signed and a quorum of the policy's witnesses cosigned. Throws a NoteError. If the
 * policy names logs, the log is one of them.
 */
export function openCosigned(
  note: string,
  policy: Policy,
  logs: readonly NoteVerifier[] = policy.logs.map(({ verifier }) => verifier),
): ReturnType<typeof openCheckpoint> {
  const checkpoint = openCheckpoint(note, logs);
  const witnesses = policy.witnesses.map(({ verifier }) => verifier);
  const known = new Set(witnesses.map(({ name, keyId }) => `${name} ${keyId}`));
  const parsed = parseNote(note);
  const isCosigned = parsed.signatures.some(({ name, keyId }) => known.has(`${name} ${keyId}`));
  const { verified } = isCosigned ? verifyNote(parsed, witnesses) : { verified: [] };
  const names = policy.witnesses
    .filter(({ verifier }) => verified.some((each) => each.verifier === verifier))
    .map(({ name }) => name);
  if (!policy.hasQuorum(new Set(names)))
    throw new NoteError(`no quorum of witnesses has cosigned it, only ${names.join(', ') || 'none'}`);
  return checkpoint;
}

function checkPolicy(policy: Policy, logs: readonly NoteVerifier[]): void {
  const isNamed = policy.logs.some(({ verifier }) =>
    logs.some(({ name, keyId }) => name === verifier.name && keyId === verifier.keyId),
  );
  if (policy.logs.length > 0 && !isNamed)
    throw witnessProblems.witness_policy('its log lines do not name the key of this log');
}

function rolledBack(detail: string): Error {
  return witnessProblems.rolled_back(detail);
}
