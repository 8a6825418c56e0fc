import type { Clock } from '../../kernel/clock.ts';
import { type Checkpoint, parseCheckpoint, verifyCheckpoint } from '../checkpoint.ts';
import { NoteError, type NoteVerifier, parseNote } from '../note.ts';
import { EMPTY_ROOT, verifyConsistency } from '../tree.ts';
import type { Cosigner } from './cosignature.ts';
import { originHash, parseSubmission, SIZE_TYPE, type Submission, textOf } from './protocol.ts';

/** The witness of C2SP tlog-witness: remembers the newest checkpoint of each log and cosigns only what grows out of it. */
export interface Witness {
  /** Answers the body of a `POST add-checkpoint`. Throws only if the store does, and then nothing was cosigned. */
  addCheckpoint(body: Uint8Array): WitnessAnswer;
  /** The newest cosigned checkpoint of the log with that `originHash`, for monitors. */
  checkpoint(hash: string): string | undefined;
}

export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly type: string;
  readonly body: string;
}

/**
 * Remembers one cosigned checkpoint, a signed note, for each origin. The calls block: between reading and replacing
 * nothing else may come, and what `replace` was given is on the disk when it returns.
 */
export interface WitnessStore {
  /** Undefined if there never was one. Throws if there was one and it cannot be read. */
  read(origin: string): string | undefined;
  replace(origin: string, checkpoint: string): void;
}

export interface WitnessOptions {
  readonly store: WitnessStore;
  /** One line for each in every answer. */
  readonly cosigners: readonly Cosigner[];
  /**
   * Keys of the logs it takes; the name of each is an origin. Several may share one, while a log changes its key; of an
   * Ed25519 and an ML-DSA-44 one both must have signed.
   */
  readonly logs: readonly NoteVerifier[];
  readonly clock: Clock;
}

export function createWitness({ store, cosigners, logs, clock }: WitnessOptions): Witness {
  if (cosigners.length === 0) throw new TypeError('a witness needs a key');
  return {
    addCheckpoint(body) {
      try {
        const text = textOf(body);
        if (text === undefined) throw new Refusal(400, 'the body is not UTF-8');
        return { status: 200, type: TEXT, body: add(parse(text)) };
      } catch (error) {
        if (error instanceof Conflict) return { status: 409, type: SIZE_TYPE, body: `${error.size}\n` };
        if (error instanceof Refusal) return { status: error.status, type: TEXT, body: `${error.message}\n` };
        throw error;
      }
    },
    checkpoint(hash) {
      const log = logs.find(({ name }) => originHash(name) === hash);
      return log === undefined ? undefined : store.read(log.name);
    },
  };

  function add({ submission, note, next }: Parsed): string {
    const keys = logs.filter(({ name }) => name === next.origin);
    if (keys.length === 0) throw new Refusal(404, 'this witness does not know the log');
    const { text } = note;
    const { verified } = refusing(403, () => verifyCheckpoint(note, keys));
    const { old, proof } = submission;
    if (old > next.size) throw new Refusal(400, 'the old size is above the size of the checkpoint');
    const last = lastOf(next.origin);
    if (old !== last.size) throw new Conflict(last.size);
    if (next.size === 0 && !same(next.root, EMPTY_ROOT))
      throw new Refusal(422, 'this is not the root of the empty tree');
    const isConsistent =
      old === 0 ? proof.length === 0 : verifyConsistency(old, next.size, last.root, next.root, proof);
    if (!isConsistent) {
      const message =
        old === next.size && proof.length === 0
          ? 'another root hash was cosigned for this size'
          : `the proof from ${old} to ${next.size} does not hold`;
      throw new Refusal(422, message);
    }
    const seconds = Math.floor(clock.now() / 1000);
    if (!(seconds > 0)) throw new Error('the clock of the witness is before 1970');
    const cosignatures = cosigners.map((each) => `${each.cosign(text, seconds)}\n`).join('');
    store.replace(next.origin, `${text}\n${verified.map(({ line }) => `${line}\n`).join('')}${cosignatures}`);
    return cosignatures;
  }

  function lastOf(origin: string): Pick<Checkpoint, 'size' | 'root'> {
    const stored = store.read(origin);
    if (stored === undefined) return { size: 0, root: EMPTY_ROOT };
    const last = parseCheckpoint(parseNote(stored).text);
    if (last.origin !== origin) throw new Error('the stored checkpoint is of another log');
    return last;
  }
}

interface Parsed {
  readonly submission: Submission;
  readonly note: ReturnType<typeof parseNote>;
  readonly next: Checkpoint;
}

function parse(body: string): Parsed {
  return refusing(400, () => {
    const submission = parseSubmission(body);
    const note = parseNote(submission.checkpoint);
    return { submission, note, next: parseCheckpoint(note.text) };
  });
}

const TEXT = 'text/plain; charset=utf-8';

class Refusal extends Error {
  readonly status: 400 | 403 | 404 | 422;
  constructor(status: 400 | 403 | 404 | 422, message: string) {
    super(message);
    this.status = status;
  }
}

class Conflict extends Error {
  readonly size: number;
  constructor(size: number) {
    super();
    this.size = size;
  }
}

function refusing<Result>(status: 400 | 403, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (error instanceof NoteError) throw new Refusal(status, error.message);
    throw error;
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
