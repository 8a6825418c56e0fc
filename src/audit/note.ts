import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { parseBase64 } from '../kernel/base64.ts';
import {
  ed25519Key,
  formatSignatureLine,
  formatVerifierKey,
  hasControl,
  hex,
  isKeyName,
  keyIdOf,
  splitVerifierKey,
} from './verifier-key.ts';
import { parseCosignerKey } from './witness/cosignature.ts';

/** C2SP signed-note with Ed25519 (signature type 0x01), as Go's golang.org/x/mod/sumdb/note reads and writes it. */

const ED25519 = 0x01;
const NOTE_BYTES_MAX = 1_000_000;
const SIGNATURES_MAX = 100;
// U+0085 is a space to Unicode and to Go, and not to `\s`.
const SIGNATURE_LINE = /^\u2014 (?<name>[^\s\u0085+]+) (?<value>[A-Za-z0-9+/=]+)$/u;

export interface NoteSigner {
  readonly name: string;
  /** The verifier key that belongs to it. */
  readonly vkey: string;
  /** One signature line, without its newline. */
  sign(text: string): string;
}

export interface NoteVerifier {
  readonly name: string;
  readonly kind: 'ed25519' | 'ml-dsa-44';
  /** First four bytes of SHA-256(name, newline, type, public key). */
  readonly keyId: number;
  verify(text: string, signature: Uint8Array): boolean;
}

/** `key` is an Ed25519 private key; `name` has no white space and no plus sign. Throws a TypeError otherwise. */
export function createNoteSigner(name: string, key: KeyObject): NoteSigner {
  if (!isKeyName(name))
    throw new TypeError(`"${name}" cannot name a signing key: no white space, no plus sign`);
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
    throw new TypeError('a log is signed with an Ed25519 private key');
  }
  const publicKey = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x ?? '', 'base64url');
  return {
    name,
    vkey: formatVerifierKey({ name, type: ED25519, publicKey }),
    sign: (text) =>
      formatSignatureLine(name, keyIdOf(name, ED25519, publicKey), sign(null, Buffer.from(text), key)),
  };
}

/**
 * Reads the C2SP verifier key of a log: of Ed25519 (type 0x01), or of ML-DSA-44 (type 0x06, over checkpoints alone).
 * Undefined if it is malformed, of another type, or its hash is not that of its key.
 */
export function parseVerifierKey(vkey: string): NoteVerifier | undefined {
  const parts = splitVerifierKey(vkey);
  if (parts?.type !== ED25519) {
    const verifier = parseCosignerKey(vkey);
    return verifier?.kind === 'ml-dsa-44' ? verifier : undefined;
  }
  if (parts.publicKey.length !== 32) return undefined;
  const key = ed25519Key(parts.publicKey);
  return {
    name: parts.name,
    kind: 'ed25519',
    keyId: keyIdOf(parts.name, ED25519, parts.publicKey),
    verify: (text, signature) => verify(null, Buffer.from(text), key, signature),
  };
}

/** `text` ends in a newline and holds no other control character. One line for each signer, in order. */
export function signNote(text: string, signers: NoteSigner | readonly NoteSigner[]): string {
  if (!isNoteText(text)) throw new TypeError('a note is lines of text, the last one ended');
  const lines = listOf(signers).map((signer) => `${signer.sign(text)}\n`);
  if (lines.length === 0) throw new TypeError('a note needs a signer');
  return `${text}\n${lines.join('')}`;
}

/**
 * The text of a note that at least one of `verifiers` signed. Signatures of unknown keys are passed over. Throws a
 * NoteError if the note is malformed, if a known key's signature is bad, or if there is none.
 */
export function openNote(note: string, verifiers: NoteVerifier | readonly NoteVerifier[]): string {
  return verifyNote(parseNote(note), listOf(verifiers)).text;
}

export interface Note {
  /** With its last newline, without the blank line. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

export interface NoteSignature {
  /** As it stands in the note, without its newline. */
  readonly line: string;
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
}

/** Takes a note apart and verifies nothing. Throws a NoteError if it is malformed. */
export function parseNote(note: string): Note {
  if (Buffer.byteLength(note) > NOTE_BYTES_MAX) throw new NoteError('the note is too long');
  const split = note.lastIndexOf('\n\n');
  if (split === -1 || !note.endsWith('\n')) throw new NoteError('the note has no signatures');
  const text = note.slice(0, split + 1);
  if (!isNoteText(text)) throw new NoteError('the note holds control characters or broken UTF-8');
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > SIGNATURES_MAX) throw new NoteError('the note has too many signatures');
  return { text, signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  const groups = SIGNATURE_LINE.exec(line)?.groups;
  const bytes = groups === undefined ? undefined : parseBase64(groups['value'] ?? '');
  if (groups?.['name'] === undefined || bytes === undefined || bytes.length < 5)
    throw new NoteError('the note has a malformed signature line');
  return {
    line,
    name: groups['name'],
    keyId: Buffer.from(bytes).readUInt32BE(0),
    signature: bytes.subarray(4),
  };
}

export interface VerifiedSignature<Verifier extends NoteVerifier = NoteVerifier> extends NoteSignature {
  readonly verifier: Verifier;
}

/**
 * The signatures by keys that are known, one for each key. Throws a NoteError if any of them is bad, or if there is none.
 */
export function verifyNote<Verifier extends NoteVerifier>(
  { text, signatures }: Note,
  verifiers: readonly Verifier[],
): { readonly text: string; readonly verified: readonly VerifiedSignature<Verifier>[] } {
  const verified = new Map<Verifier, VerifiedSignature<Verifier>>();
  for (const each of signatures) {
    const verifier = verifiers.find(({ name, keyId }) => name === each.name && keyId === each.keyId);
    if (verifier === undefined) continue;
    if (!verifier.verify(text, each.signature)) throw new NoteError('the signature is wrong');
    if (!verified.has(verifier)) verified.set(verifier, { ...each, verifier });
  }
  if (verified.size === 0) {
    const names = verifiers.map(({ name, keyId }) => `${name}+${hex(keyId)}`).join(' or ');
    throw new NoteError(`there is no signature by the key ${names}`);
  }
  return { text, verified: [...verified.values()] };
}

/** Why a note was refused. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
}

const isNoteText = (text: string): boolean =>
  text.endsWith('\n') && text.isWellFormed() && !text.includes('\ufffd') && !hasControl(text);

export function listOf<Item>(items: Item | readonly Item[]): readonly Item[] {
  return [items].flat() as readonly Item[];
}
