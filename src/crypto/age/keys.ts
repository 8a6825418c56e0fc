import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { generateHybridIdentity, parseHybridIdentity, parseHybridRecipient } from './hybrid.ts';
import { parseSshIdentity, parseSshRecipient } from './ssh/ssh.ts';
import type { KeyIdentity, Recipient } from './stanza.ts';
import { generateX25519Identity, parseX25519Identity, parseX25519Recipient } from './x25519.ts';

/** Keys as text. A new kind of key is a new line in the two parsers here. One line break at the end is ignored. */

/**
 * A new key pair: `AGE-SECRET-KEY-1…`, to be kept secret, and `age1…`, to be given away; with `postQuantum`,
 * `AGE-SECRET-KEY-PQ-1…` and `age1pq1…`.
 */
export function generateIdentity({ postQuantum = false }: { readonly postQuantum?: boolean } = {}): {
  readonly identity: string;
  readonly recipient: string;
} {
  const identity = postQuantum ? generateHybridIdentity() : generateX25519Identity();
  return { identity, recipient: recipientOf(identity) };
}

/** The recipient that belongs to an identity. Throws as `parseIdentity`. */
export function recipientOf(identity: string): string {
  return parseIdentity(identity).recipient;
}

/**
 * `age1…`, `age1pq1…`, or a line of an SSH public key file. Throws `crypto.invalid_key` or `crypto.unsupported_key`;
 * neither quotes the text.
 */
export function parseRecipient(text: string): Recipient {
  const line = withoutLineBreak(text);
  const recipient = parseX25519Recipient(line) ?? parseHybridRecipient(line);
  if (recipient) return recipient;
  if (line.startsWith('ssh-')) return parseSshRecipient(line);
  if (/^(?:AGE-(?:SECRET-KEY|PLUGIN)-|-----BEGIN .*PRIVATE KEY)/i.test(line)) {
    throw cryptoProblems.invalid_key('this is an identity, which is secret; a recipient starts with age1');
  }
  if (/^(?:age1(?!pq1)[a-z0-9-]+1|ecdsa-|sk-)/.test(line)) {
    throw cryptoProblems.unsupported_key('recipients of plugins and of security keys are not supported');
  }
  throw cryptoProblems.invalid_key('the recipient is not of the form age1… or has a wrong character');
}

/**
 * `AGE-SECRET-KEY-1…`, `AGE-SECRET-KEY-PQ-1…`, or the whole text of an SSH private key file, whose passphrase, if it has
 * one, is asked for when it is needed. Throws `crypto.invalid_key` or `crypto.unsupported_key`; neither quotes the text.
 */
export function parseIdentity(text: string, passphrase?: () => Promise<Secret<string>>): KeyIdentity {
  if (isPrivateKeyPem(text)) return parseSshIdentity(text, passphrase);
  const line = withoutLineBreak(text);
  const identity = parseX25519Identity(line) ?? parseHybridIdentity(line);
  if (identity) return identity;
  if (line.startsWith('AGE-PLUGIN-')) {
    throw cryptoProblems.unsupported_key('identities of plugins are not supported');
  }
  if (/^(?:age1|ssh-)/.test(line)) {
    throw cryptoProblems.invalid_key(
      'this is a recipient, which is public; an identity starts with AGE-SECRET-KEY-',
    );
  }
  throw cryptoProblems.invalid_key(
    'the identity is not of the form AGE-SECRET-KEY-1… or has a wrong character',
  );
}

/** Claims that the text is a private key in PEM, as SSH has them. */
export function isPrivateKeyPem(text: string): boolean {
  return /^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text);
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

function withoutLineBreak(text: string): string {
  return text.replace(/\r?\n$/, '');
}
