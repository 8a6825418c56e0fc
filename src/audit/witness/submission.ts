import { parseCheckpoint } from '../checkpoint.ts';
import { type NoteVerifier, parseNote } from '../note.ts';
import type { WitnessClient } from './client.ts';

/** Proofs that one size of the log grew out of another. */
export interface ConsistencyProver {
  /** PROOF(from, D[0:to]) of RFC 6962; 0 < from < to. */
  consistency(from: number, to: number): Promise<readonly Uint8Array[]>;
  /** The root of the first `size` entries. */
  root(size: number): Promise<Uint8Array>;
}

export type Obtained =
  | { readonly kind: 'cosigned'; readonly line: string; readonly time: number }
  | { readonly kind: 'failed'; readonly reason: string }
  /** It has cosigned a history of this log that is not ours. */
  | {
      readonly kind: 'disagrees';
      readonly reason: string;
      /** A checkpoint that the log itself signed and that ours contradicts; absent if the witness shows none. */
      readonly evidence?: string;
    };

export interface Obtaining {
  readonly client: WitnessClient;
  readonly prover: ConsistencyProver;
  /** Keys of the log, old and new. */
  readonly logs: readonly NoteVerifier[];
  /** A signed note. */
  readonly checkpoint: string;
  /** What the witness is believed to have cosigned last. */
  readonly known: number;
}

/** The witness may have moved since: so often it is asked again. */
const ATTEMPTS = 3;

/** Asks one witness for its cosignature, with the proof that it needs. */
export async function obtainCosignature(options: Obtaining): Promise<Obtained> {
  const { client, prover, logs, checkpoint } = options;
  const { origin, size } = parseCheckpoint(parseNote(checkpoint).text);
  let old = Math.min(options.known, size);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const proof = old === 0 || old === size ? [] : await prover.consistency(old, size);
    const outcome = await client.add({ old, proof, checkpoint });
    switch (outcome.kind) {
      case 'cosigned':
        return outcome;
      case 'refused':
      case 'unreachable':
        return { kind: 'failed', reason: outcome.reason };
      case 'inconsistent':
        return await disagreement(`has cosigned another history of the first ${old} entries`);
      case 'conflict':
        if (outcome.size > size)
          return await disagreement(`has cosigned ${outcome.size} entries, this log has ${size}`);
        old = outcome.size;
    }
  }
  return { kind: 'failed', reason: 'it does not stay at one size' };

  async function disagreement(reason: string): Promise<Obtained> {
    const evidence = await client.latest(origin, logs);
    const proves = evidence !== undefined && (await contradicts(evidence));
    return { kind: 'disagrees', reason, ...(proves && { evidence }) };
  }

  async function contradicts(evidence: string): Promise<boolean> {
    const other = parseCheckpoint(parseNote(evidence).text);
    return other.size > size || Buffer.compare(await prover.root(other.size), other.root) !== 0;
  }
}
