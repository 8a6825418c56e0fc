import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';
import { encodeBase64, parseBase64 } from '../kernel/base64.ts';

/** C2SP signed-note with Ed25519 (signature type 0x01), as Go's golang.org/x/mod/sumdb/note reads and writes it. */

const ED25519 = 0x01;
const NOTE_BYTES_MAX = 1_000_000;
const SIGNATURES_MAX = 100;
// U+0085 is a space to Unicode and to Go, and not to `\s`.
const SIGNATURE_LINE = /^\u2014 (?<name>[^\s\u0085+]+) (?<value>[A-Za-z0-9+/=]+)$/u;
const NAME = /^[^\s\u0085+]+$/u;

export interface NoteSigner {
  readonly name: string;
  /** The verifier key that belongs to it. */
  readonly vkey: string;
  /** One signature line, without its newline. */
  sign(text: string): string;
}

export interface NoteVerifier {
  readonly name: string;
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

/** Reads a C2SP verifier key, `name+hash+base64`. Undefined if it is malformed, or its hash is not that of its key. */
export function parseVerifierKey(vkey: string): NoteVerifier | undefined {
  const parts = splitVerifierKey(vkey);
  if (parts === undefined || parts.type !== ED25519 || parts.publicKey.length !== 32) return undefined;
  const key = ed25519Key(parts.publicKey);
  return {
    name: parts.name,
    keyId: keyIdOf(parts.name, ED25519, parts.publicKey),
    verify: (text, signature) => verify(null, Buffer.from(text), key, signature),
  };
}

/** A verifier key of any signature type. */
export interface VerifierKeyParts {
  readonly name: string;
  readonly type: number;
  /** As its signature type encodes it. */
  readonly publicKey: Uint8Array;
}

/** Undefined if it is malformed, or its hash is not that of its key. The public key itself is not looked at. */
export function splitVerifierKey(vkey: string): VerifierKeyParts | undefined {
  const [, name, idHex, keyText] = /^([^\s\u0085+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u.exec(vkey) ?? [];
  const bytes = keyText === undefined ? undefined : parseBase64(keyText);
  const type = bytes?.[0];
  if (name === undefined || idHex === undefined || bytes === undefined || type === undefined)
    return undefined;
  const publicKey = bytes.subarray(1);
  return hex(keyIdOf(name, type, publicKey)) === idHex ? { name, type, publicKey } : undefined;
}

export function formatVerifierKey({ name, type, publicKey }: VerifierKeyParts): string {
  const typed = Buffer.concat([Buffer.from([type]), publicKey]);
  return `${name}+${hex(keyIdOf(name, type, publicKey))}+${encodeBase64(typed)}`;
}

export function keyIdOf(name: string, type: number, publicKey: Uint8Array): number {
  const bytes = Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([type]), publicKey]);
  return hash('sha256', bytes, 'buffer').readUInt32BE(0);
}

/** Not empty, no white space, no plus sign: what may name a key. */
export function isKeyName(name: string): boolean {
  return NAME.test(name) && name.isWellFormed() && !hasControl(name);
}

/** One signature line, without its newline. */
export function formatSignatureLine(name: string, keyId: number, signature: Uint8Array): string {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(keyId);
  return `\u2014 ${name} ${encodeBase64(Buffer.concat([prefix, signature]))}`;
}

export function ed25519Key(publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
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

/** Anything below U+0020 but a newline. */
function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) < 32 && text[at] !== '\n') return true;
  return false;
}

const hex = (id: number): string => id.toString(16).padStart(8, '0');

export function listOf<Item>(items: Item | readonly Item[]): readonly Item[] {
  return [items].flat() as readonly Item[];
}
