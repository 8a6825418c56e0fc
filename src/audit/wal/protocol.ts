import type { Committer } from './committer.ts';
import { CLOSE, COUNT, GROUP, type Handover, IDLE, LENGTH, TURN } from './handover.ts';

/** What the writer's thread says by message; that a group is durable it says in the memory that both share. */
export type WriterAnswer =
  | { readonly kind: 'ready' }
  /** Final: nothing is committed after it. */
  | { readonly kind: 'failed'; readonly reason: string };

export interface WriterData {
  readonly directory: string;
  readonly first: number;
  readonly segmentBytes: number;
  /** How often the live segment is looked for when nothing is written, milliseconds. */
  readonly checkMs: number;
  /** That of the `Handover`. */
  readonly memory: SharedArrayBuffer;
}

/** The writer's side of the handover. Each call returns false when there is nothing more to serve. */
export interface WriterTurns {
  open(): boolean;
  /** Does what has been handed over, if anything. */
  serve(): boolean;
  check(): boolean;
}

/** Serves a handover with a committer. */
export function createWriterTurns(
  { control, records, leaves }: Handover,
  open: () => Committer,
  answer: (answer: WriterAnswer) => void,
): WriterTurns {
  let committer: Committer | undefined;
  return {
    open: () =>
      attempt(() => {
        committer = open();
        answer({ kind: 'ready' });
        return true;
      }),
    serve: () =>
      attempt(() => {
        const turn = Atomics.load(control, TURN);
        if (committer === undefined) return false;
        if (turn === CLOSE) {
          committer.close();
          return false;
        }
        if (turn !== GROUP) return true;
        committer.commit(records.subarray(0, control[LENGTH]), control[COUNT] as number, leaves);
        // Unless it says CLOSE by now.
        Atomics.compareExchange(control, TURN, GROUP, IDLE);
        Atomics.notify(control, TURN);
        committer.prepare();
        return true;
      }),
    check: () =>
      attempt(() => {
        committer?.check();
        return committer !== undefined;
      }),
  };

  function attempt(work: () => boolean): boolean {
    try {
      return work();
    } catch (error) {
      committer = undefined;
      answer({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
      return false;
    }
  }
}
