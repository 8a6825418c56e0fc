import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';
import { encodeBase64, parseBase64 } from '../kernel/base64.ts';

/** C2SP signed-note with Ed25519 (signature type 0x01), as Go's golang.org/x/mod/sumdb/note reads and writes it. */

const ED25519 = 0x01;
const NOTE_BYTES_MAX = 1_000_000;
const SIGNATURES_MAX = 100;
const SIGNATURE_LINE = /^\u2014 (?<name>[^\s+]+) (?<value>[A-Za-z0-9+/=]+)$/u;
const NAME = /^[^\s+]+$/u;

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
  if (!NAME.test(name))
    throw new TypeError(`"${name}" cannot name a signing key: no white space, no plus sign`);
  if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') {
    throw new TypeError('a log is signed with an Ed25519 private key');
  }
  const publicBytes = rawPublicKey(createPublicKey(key));
  const id = keyId(name, publicBytes);
  return {
    name,
    vkey: `${name}+${id.toString(16).padStart(8, '0')}+${encodeBase64(typed(publicBytes))}`,
    sign(text) {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(id);
      return `\u2014 ${name} ${encodeBase64(Buffer.concat([prefix, sign(null, Buffer.from(text), key)]))}`;
    },
  };
}

/** Reads a C2SP verifier key, `name+hash+base64`. Undefined if it is malformed, or its hash is not that of its key. */
export function parseVerifierKey(vkey: string): NoteVerifier | undefined {
  const [, name, idHex, keyText] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u.exec(vkey) ?? [];
  const bytes = keyText === undefined ? undefined : parseBase64(keyText);
  if (name === undefined || idHex === undefined || bytes?.length !== 33 || bytes[0] !== ED25519)
    return undefined;
  const publicBytes = bytes.subarray(1);
  const id = Number.parseInt(idHex, 16);
  if (keyId(name, publicBytes) !== id) return undefined;
  const key = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(publicBytes).toString('base64url') },
    format: 'jwk',
  });
  return { name, keyId: id, verify: (text, signature) => verify(null, Buffer.from(text), key, signature) };
}

/** `text` ends in a newline and holds no other control character. */
export function signNote(text: string, signer: NoteSigner): string {
  if (!isNoteText(text)) throw new TypeError('a note is lines of text, the last one ended');
  return `${text}\n${signer.sign(text)}\n`;
}

/**
 * The text of a note that `verifier` signed. Signatures of unknown keys are passed over. Throws a NoteError if the note
 * is malformed, if the known key's signature is bad, or if there is none.
 */
export function openNote(note: string, verifier: NoteVerifier): string {
  if (Buffer.byteLength(note) > NOTE_BYTES_MAX) throw new NoteError('the note is too long');
  const split = note.lastIndexOf('\n\n');
  if (split === -1 || !note.endsWith('\n')) throw new NoteError('the note has no signatures');
  const text = note.slice(0, split + 1);
  if (!isNoteText(text)) throw new NoteError('the note holds control characters or broken UTF-8');
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > SIGNATURES_MAX) throw new NoteError('the note has too many signatures');
  let signed = false;
  for (const line of lines) {
    const groups = SIGNATURE_LINE.exec(line)?.groups;
    const bytes = groups === undefined ? undefined : parseBase64(groups['value'] ?? '');
    if (bytes === undefined || bytes.length < 5)
      throw new NoteError('the note has a malformed signature line');
    const id = Buffer.from(bytes).readUInt32BE(0);
    if (groups?.['name'] !== verifier.name || id !== verifier.keyId) continue;
    if (!verifier.verify(text, bytes.subarray(4))) throw new NoteError('the signature is wrong');
    signed = true;
  }
  if (!signed)
    throw new NoteError(`there is no signature by the key ${verifier.name}+${hex(verifier.keyId)}`);
  return text;
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

function typed(publicBytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from([ED25519]), publicBytes]);
}

function keyId(name: string, publicBytes: Uint8Array): number {
  const digest = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed(publicBytes)]), 'buffer');
  return digest.readUInt32BE(0);
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return Buffer.from(key.export({ format: 'jwk' }).x ?? '', 'base64url');
}
