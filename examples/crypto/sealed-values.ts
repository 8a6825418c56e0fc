import { randomBytes } from 'node:crypto';
import { createSealedValues, createSealKeySet, Problem, Secret } from '../../src/crypto/library.ts';

// 32 random bytes for each version of a key, from wherever you keep secrets. The highest version seals.
const version1 = { name: 'customers', version: 1, key: new Secret(randomBytes(32)) };
const values = createSealedValues({ ring: createSealKeySet([version1]) });

// The path says where the value belongs. It is authenticated with it: elsewhere the value does not open.
const token = await values.seal('customers', 'customers/42/iban', Buffer.from('DE02120300000000202051'));
const { key, version, path } = values.inspect(token);
console.log(`${key}.${version} for ${path}`);

const iban = await values.open('customers/42/iban', token, { key: 'customers' });
console.log(Buffer.from(iban.reveal()).toString());

try {
  await values.open('customers/43/iban', token, { key: 'customers' });
} catch (error) {
  if (error instanceof Problem) console.log(error.code);
}

// Rotation: add a version, keep the old one until nothing is left under it.
const version2 = { name: 'customers', version: 2, key: new Secret(randomBytes(32)) };
const rotated = createSealedValues({ ring: createSealKeySet([version1, version2]) });
const plaintext = await rotated.open('customers/42/iban', token);
const resealed = await rotated.seal('customers', 'customers/42/iban', plaintext.reveal());
console.log(`now under version ${rotated.inspect(resealed).version}`);
