import { generateKeyPairSync } from 'node:crypto';
import { createNoteSigner, type NoteSigner, type NoteVerifier, parseVerifierKey } from '../note.ts';
import { signCheckpoint } from '../checkpoint.ts';
import { consistencyProof, leafHash, peaks, rootOf, type Subtree } from '../tree.ts';
import {
  type Cosigner,
  type CosignatureKind,
  createCosigner,
  parseCosignerKey,
  type CosignatureVerifier,
} from './cosignature.ts';
import { formatSubmission, type Submission } from './protocol.ts';

/** A log in memory that signs whatever it is told to: for tests of what watches logs. */
export interface TestLog {
  readonly origin: string;
  readonly vkey: string;
  readonly signer: NoteSigner;
  readonly verifier: NoteVerifier;
  checkpoint(size: number): string;
  proof(from: number, to: number): readonly Uint8Array[];
  root(size: number): Uint8Array;
  /** The body that brings a witness from `from` to `to`. */
  body(from: number, to: number, change?: Partial<Submission>): Uint8Array;
}

/** Two logs with the same `seed` have the same entries as long as both are below `fork`. */
export function createTestLog({
  origin = 'keep.test/audit',
  entries = 64,
  fork = Infinity,
  signer = signerOf(origin),
} = {}): TestLog {
  const leaves = Array.from({ length: entries }, (_, at) =>
    leafHash(Buffer.from(at < fork ? `entry ${at}` : `another entry ${at}`)),
  );
  const subtree: Subtree = (level, index) =>
    rootOf(peaks(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level)));
  const root = (size: number): Uint8Array => rootOf(peaks(leaves.slice(0, size)));
  const checkpoint = (size: number): string => signCheckpoint({ origin, size, root: root(size) }, signer);
  const proof = (from: number, to: number): readonly Uint8Array[] =>
    from === 0 || from >= to ? [] : consistencyProof(from, to, subtree);
  return {
    origin,
    vkey: signer.vkey,
    signer,
    verifier: verifierOf(signer.vkey),
    checkpoint,
    proof,
    root,
    body: (from, to, change = {}) =>
      Buffer.from(
        formatSubmission({ old: from, proof: proof(from, to), checkpoint: checkpoint(to), ...change }),
      ),
  };
}

export function signerOf(origin: string): NoteSigner {
  return createNoteSigner(origin, generateKeyPairSync('ed25519').privateKey);
}

export function verifierOf(vkey: string): NoteVerifier {
  const verifier = parseVerifierKey(vkey);
  if (verifier === undefined) throw new TypeError(`${vkey} is not a verifier key`);
  return verifier;
}

export function cosignerOf(name: string, kind: CosignatureKind = 'ed25519'): Cosigner {
  const { privateKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ml-dsa-44');
  return createCosigner(name, privateKey);
}

export function cosignatureVerifierOf(vkey: string): CosignatureVerifier {
  const verifier = parseCosignerKey(vkey);
  if (verifier === undefined) throw new TypeError(`${vkey} is not the verifier key of a witness`);
  return verifier;
}
