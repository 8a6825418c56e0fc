import type { Committer } from './committer.ts';

/** What the writer's thread is told, and what it answers; both may cross a thread. */
export type WriterRequest =
  | { readonly kind: 'commit'; readonly texts: readonly string[] }
  | { readonly kind: 'check' }
  | { readonly kind: 'close' };

export type WriterAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'committed'; readonly leaves: Uint8Array }
  /** Final: nothing is committed after it. */
  | { readonly kind: 'failed'; readonly reason: string };

export interface WriterData {
  readonly directory: string;
  readonly first: number;
  readonly segmentBytes: number;
  /** How often the live segment is looked for when nothing is written, milliseconds. */
  readonly checkMs: number;
}

/** Answers requests with a committer. Each commit gets one answer, in order. */
export function serveCommits(
  open: () => Committer,
  answer: (answer: WriterAnswer) => void,
): (request: WriterRequest) => void {
  let committer: Committer | undefined;
  attempt(() => {
    committer = open();
    answer({ kind: 'ready' });
  });
  return (request) => {
    if (committer === undefined) return;
    const opened = committer;
    if (request.kind === 'commit')
      attempt(() => answer({ kind: 'committed', leaves: opened.commit(request.texts) }));
    else if (request.kind === 'check') attempt(() => opened.check());
    else attempt(() => opened.close());
  };

  function attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      committer = undefined;
      answer({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) });
    }
  }
}
