import { cryptoProblems } from '../problems.ts';
import type { Identity, Recipient } from './stanza.ts';
import { generateX25519Identity, parseX25519Identity, parseX25519Recipient } from './x25519.ts';

/** Keys as text. A new kind of key is a new line in the two parsers here. */

/** A new key pair: `AGE-SECRET-KEY-1…`, to be kept secret, and `age1…`, to be given away. */
export function generateIdentity(): { readonly identity: string; readonly recipient: string } {
  const identity = generateX25519Identity();
  return { identity, recipient: recipientOf(identity) };
}

/** The recipient that belongs to an identity. Throws as `parseIdentity`. */
export function recipientOf(identity: string): string {
  return parseIdentity(identity).recipient;
}

/** Throws `crypto.invalid_key` or `crypto.unsupported_key`; neither quotes the text. */
export function parseRecipient(text: string): Recipient {
  const recipient = parseX25519Recipient(text);
  if (recipient) return recipient;
  if (/^AGE-SECRET-KEY-/i.test(text)) {
    throw cryptoProblems.invalid_key('this is an identity, which is secret; a recipient starts with age1');
  }
  if (/^(?:age1[a-z0-9-]+1|ssh-|ecdsa-)/.test(text)) {
    throw cryptoProblems.unsupported_key('the recipient is not an X25519 recipient');
  }
  throw cryptoProblems.invalid_key('the recipient is not of the form age1… or has a wrong character');
}

/** Throws `crypto.invalid_key` or `crypto.unsupported_key`; neither quotes the text. */
export function parseIdentity(text: string): Identity & { readonly recipient: string } {
  const identity = parseX25519Identity(text);
  if (identity) return identity;
  if (/^(?:AGE-PLUGIN-|AGE-SECRET-KEY-[A-Z]+-1|-----BEGIN .*PRIVATE KEY)/.test(text)) {
    throw cryptoProblems.unsupported_key('the identity is not an X25519 identity');
  }
  throw cryptoProblems.invalid_key(
    'the identity is not of the form AGE-SECRET-KEY-1… or has a wrong character',
  );
}

/** A line of an identity or recipients file. */
export interface KeyLine {
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

/** The keys of an identity or recipients file: one a line, empty lines and `#` comments ignored. Checks none of them. */
export function parseKeyLines(text: string): readonly KeyLine[] {
  return text
    .split(/\r?\n/)
    .map((line, index) => ({ line: index + 1, text: line }))
    .filter((line) => line.text !== '' && !line.text.startsWith('#'));
}
