import { type NoteVerifier, NoteError, parseNote, verifyNote } from '../note.ts';
import { openCheckpoint } from '../checkpoint.ts';
import { parseSize } from '../checkpoint-text.ts';
import { type CosignatureVerifier, cosignatureTime } from './cosignature.ts';
import { formatSubmission, originHash, SIZE_TYPE, type Submission, textOf } from './protocol.ts';

/** The other side of a witness. Nothing that it answers is believed without a signature but its refusals. */
export interface WitnessClient {
  add(submission: Submission): Promise<SubmissionOutcome>;
  /**
   * The newest checkpoint of the log that it shows to monitors, if the log itself signed it: what the owner of the log
   * key cannot deny. Undefined if it shows none, or cannot be asked.
   */
  latest(origin: string, logs: readonly NoteVerifier[]): Promise<string | undefined>;
}

export type SubmissionOutcome =
  /** `line` is verified, without its newline; `time` in seconds since 1970. */
  | { readonly kind: 'cosigned'; readonly line: string; readonly time: number }
  /** It has cosigned this size, not `old`. */
  | { readonly kind: 'conflict'; readonly size: number }
  /** What was submitted does not grow out of what it has cosigned. */
  | { readonly kind: 'inconsistent'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unreachable'; readonly reason: string };

export interface WitnessClientOptions {
  /** Submission prefix, without a slash at the end. */
  readonly url: string;
  readonly verifier: CosignatureVerifier;
  readonly timeoutMs: number;
  /** Ends what is under way. */
  readonly signal: AbortSignal;
}

const ANSWER_BYTES_MAX = 256 * 1024;
const REASON_LENGTH_MAX = 200;

export function createWitnessClient({
  url,
  verifier,
  timeoutMs,
  signal,
}: WitnessClientOptions): WitnessClient {
  return {
    async add(submission) {
      const answer = await ask('/add-checkpoint', {
        method: 'POST',
        body: formatSubmission(submission),
        headers: { 'content-type': 'text/plain; charset=utf-8' },
      });
      if (typeof answer === 'string') return { kind: 'unreachable', reason: answer };
      const { status, type, text } = answer;
      if (status === 200) return cosignatureIn(submission.checkpoint, text);
      if (status === 409) {
        const size = type === SIZE_TYPE && text.endsWith('\n') ? parseSize(text.slice(0, -1)) : undefined;
        if (size !== undefined) return { kind: 'conflict', size };
      }
      const reason = `it answered ${status}: ${printable(text)}`;
      return { kind: status === 422 ? 'inconsistent' : 'refused', reason };
    },
    async latest(origin, logs) {
      const answer = await ask(`/${originHash(origin)}/checkpoint`, { method: 'GET' });
      if (typeof answer === 'string' || answer.status !== 200) return undefined;
      try {
        return openCheckpoint(answer.text, logs).origin === origin ? answer.text : undefined;
      } catch (error) {
        if (error instanceof NoteError) return undefined;
        throw error;
      }
    },
  };

  function cosignatureIn(checkpoint: string, lines: string): SubmissionOutcome {
    try {
      const { verified } = verifyNote(parseNote(checkpoint + lines), [verifier]);
      const [{ line, signature } = { line: '', signature: new Uint8Array(8) }] = verified;
      const time = cosignatureTime(signature);
      if (time > 0) return { kind: 'cosigned', line, time };
      return { kind: 'refused', reason: 'its cosignature has no time' };
    } catch (error) {
      if (!(error instanceof NoteError)) throw error;
      return { kind: 'refused', reason: `its cosignature is not good: ${error.message}` };
    }
  }

  /** A sentence if there was no whole answer. */
  async function ask(path: string, init: RequestInit): Promise<Answer | string> {
    const limit = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url + path, {
        ...init,
        redirect: 'error',
        signal: AbortSignal.any([signal, limit]),
      });
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      for await (const chunk of response.body ?? []) {
        bytes += chunk.length;
        if (bytes > ANSWER_BYTES_MAX) return 'its answer is too long';
        chunks.push(chunk);
      }
      const text = textOf(Buffer.concat(chunks));
      if (text === undefined) return 'its answer is not UTF-8';
      return { status: response.status, type: response.headers.get('content-type') ?? '', text };
    } catch (error) {
      if (limit.aborted) return `it did not answer within ${timeoutMs} ms`;
      const { cause, message } = error as Error;
      return `it cannot be reached: ${cause instanceof Error && cause.message !== '' ? cause.message : message}`;
    }
  }
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** A line of what somebody else wrote, fit for a log. */
function printable(text: string): string {
  return text
    .slice(0, REASON_LENGTH_MAX)
    .replaceAll(/[^\u0020-\u007e\u00a0-\ud7ff]+/gu, ' ')
    .trim();
}
