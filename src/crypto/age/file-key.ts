import { randomBytes } from 'node:crypto';
import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { formatHeader, isAuthentic, parseHeader } from './header.ts';
import { POST_QUANTUM_LABEL } from './hybrid.ts';
import { parseIdentity, parseRecipient } from './keys.ts';
import { createPassphraseIdentity, isPassphraseStanza, wrapWithPassphrase } from './scrypt.ts';
import { FILE_KEY_BYTES, type Identity, type Recipient, type Stanza } from './stanza.ts';

/** A key as text, which `parseRecipient` reads, or parsed already. */
export type RecipientKey = string | Recipient;
/** A key as text, which `parseIdentity` reads, or parsed already. */
export type IdentityKey = string | Identity;

/** To whom a file is sealed: keys, or one passphrase; the format does not let them mix. */
export type Sealing =
  | { readonly recipients: readonly RecipientKey[] }
  | { readonly passphrase: Secret<string>; readonly workFactor?: number };

/** What may open a file. `passphrase` is called only if the file is sealed with one. */
export interface Opening {
  readonly identities?: readonly IdentityKey[];
  readonly passphrase?: () => Promise<Secret<string>>;
  /** log2 of the highest scrypt cost to accept. */
  readonly workFactorMax?: number;
}

/** A file key and the header that wraps it. Whoever takes the key uses it for one payload only. */
export interface SealedFileKey {
  readonly header: Uint8Array;
  readonly fileKey: Uint8Array;
}

/** A new file key. Throws `crypto.invalid_key` or `crypto.unsupported_key` if a recipient is not valid. */
export async function createFileKey(sealing: Sealing): Promise<SealedFileKey> {
  if ('recipients' in sealing) return createFileKeyFor(sealing.recipients);
  const fileKey = randomBytes(FILE_KEY_BYTES);
  const stanza = await wrapWithPassphrase(fileKey, sealing.passphrase, sealing.workFactor);
  return { header: formatHeader([stanza], fileKey), fileKey };
}

export function createFileKeyFor(recipients: readonly RecipientKey[]): SealedFileKey {
  const wrap = createWrapper(recipients);
  const fileKey = randomBytes(FILE_KEY_BYTES);
  return { header: wrap(fileKey), fileKey };
}

/** Makes headers for `recipients`, which are parsed at once, so that a bad one is told before any work. */
export function createWrapper(recipients: readonly RecipientKey[]): (fileKey: Uint8Array) => Uint8Array {
  if (recipients.length === 0) throw cryptoProblems.invalid_key('no recipient is given');
  const parsed = recipients.map((key) => (typeof key === 'string' ? parseRecipient(key) : key));
  checkLabels(parsed);
  return (fileKey) =>
    formatHeader(
      parsed.map((recipient) => recipient.wrap(fileKey)),
      fileKey,
    );
}

/**
 * Opens headers. The identities are parsed at once, so that a bad one is told before any data is read. The function
 * throws `crypto.no_matching_key`, `crypto.tampered`, `crypto.malformed_header` or `crypto.scrypt_cost`.
 */
export function createUnwrapper(opening: Opening): (header: Uint8Array) => Promise<Uint8Array> {
  const identities: Identity[] = (opening.identities ?? []).map((key) =>
    typeof key === 'string' ? parseIdentity(key) : key,
  );
  if (opening.passphrase)
    identities.push(createPassphraseIdentity(opening.passphrase, opening.workFactorMax));
  return async (bytes) => {
    const header = parseHeader(bytes);
    const passphraseSealed = isPassphraseSealed(header.stanzas);
    for (const identity of identities) {
      const fileKey = await identity.unwrap(header.stanzas);
      if (!fileKey) continue;
      if (!isAuthentic(header, fileKey)) throw cryptoProblems.tampered('the header was changed');
      return fileKey;
    }
    throw cryptoProblems.no_matching_key(reasonFor(passphraseSealed, opening));
  };
}

/** Throws `crypto.malformed_header` if a passphrase stanza is not alone. */
export function isPassphraseSealed(stanzas: readonly Stanza[]): boolean {
  const found = stanzas.some(isPassphraseStanza);
  if (found && stanzas.length > 1)
    throw cryptoProblems.malformed_header('a passphrase stanza stands beside others');
  return found;
}

function checkLabels(recipients: readonly Recipient[]): void {
  const labels = new Set(recipients.map((recipient) => (recipient.labels ?? []).toSorted().join('\n')));
  if (labels.size <= 1) return;
  throw cryptoProblems.invalid_key(
    labels.has(POST_QUANTUM_LABEL)
      ? 'post-quantum recipients (age1pq1…) do not mix with others: the file would be only as safe as the weakest'
      : 'the recipients do not mix',
  );
}

function reasonFor(passphraseSealed: boolean, opening: Opening): string {
  if (!passphraseSealed) return 'the file is sealed to other recipients than the given identities';
  return opening.passphrase
    ? 'the passphrase is wrong'
    : 'the file is sealed with a passphrase, and none is given';
}
