/**
 * The package entry `modelkeep/crypto`: formats and keys, usable without a keep. docs/reference/library-crypto.md has a
 * program for each. What is not exported here is not part of the library and changes without notice.
 */

export { Problem } from '../kernel/problem.ts';
export { Secret } from '../kernel/secret.ts';
export type { Clock } from '../kernel/clock.ts';

export { createFernet, generateFernetKey } from './fernet/fernet.ts';
export type { Fernet, FernetOptions, TokenLimits } from './fernet/fernet.ts';

export { decryptFile, encryptFile } from './engine/files.ts';
export type { AgeTransfer } from './engine/files.ts';
export { decryptDetached, decryptStream, encryptDetached, encryptStream } from './age/age.ts';
export type { Opening, Sealing } from './age/age.ts';
export { inspectHeader, rewrapHeader } from './age/detached.ts';
export type { HeaderSummary } from './age/detached.ts';
export { parseIdentityFile, parseRecipientFile } from './age/key-file.ts';
export type { RecipientFile } from './age/key-file.ts';
export { generateIdentity, recipientOf } from './age/keys.ts';
export { createRandomAccess } from './age/random-access.ts';
export type { RandomAccess, RandomAccessSource } from './age/random-access.ts';

export { createSealKeySet } from './values/seal-key-set.ts';
export type { SealKeyVersion } from './values/seal-key-set.ts';
export type { SealKey, SealKeySource, SealKeyUse } from './values/seal-key.ts';
export { createSealedValues } from './values/sealed-values.ts';
export type { OpenOptions, SealedValues, SealedValuesOptions } from './values/sealed-values.ts';
export type { ValueFacts } from './values/value-header.ts';
