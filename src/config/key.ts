import { z } from 'zod';
import { configSchema } from './config.ts';

/** One setting that can be given: a leaf of the schema. */
export interface ConfigKey {
  /** As in `modelkeep.yaml`, dotted: `limits.bodyBytesMax`. */
  readonly name: string;
  /** Its environment variable. */
  readonly variable: string;
  readonly about: string;
  readonly kind: 'text' | 'number' | 'boolean' | 'list';
  readonly fallback: unknown;
  /** A relative path in the file starts at the keep's directory. */
  readonly isPath: boolean;
  /** `env:NAME` or `file:/path`, never the secret itself. A relative `file:` starts at the keep's directory. */
  readonly isReference: boolean;
}

const PATHS: ReadonlySet<string> = new Set([
  'tls.certificate',
  'tls.key',
  'rootKey.vault.jwtFile',
  'rootKey.vault.caFile',
  'rootKey.pkcs11.module',
  'audit.detection.rules',
  'audit.witness.policy',
]);
const REFERENCES: ReadonlySet<string> = new Set([
  'rootKey.passphrase.passphrase',
  'rootKey.passphrase.previousPassphrase',
  'rootKey.vault.token',
  'rootKey.vault.secretId',
  'rootKey.pkcs11.pin',
]);
const KINDS: Readonly<Record<string, ConfigKey['kind']>> = {
  integer: 'number',
  number: 'number',
  boolean: 'boolean',
  array: 'list',
};

/** All keys, in the order of the schema. */
export const configKeys: readonly ConfigKey[] = leaves(jsonSchemaOf(), []);

/** The JSON Schema of `modelkeep.yaml`, for editors. `tls: terminated-upstream` is short for its mode. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = jsonSchemaOf();
  const properties = { ...schema.properties };
  properties['tls'] = {
    anyOf: [properties['tls'] as JsonSchema, { type: 'string', enum: ['none', 'terminated-upstream'] }],
  };
  return { ...schema, title: 'modelkeep.yaml', properties };
}

interface JsonSchema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
  readonly enum?: readonly string[];
}

function jsonSchemaOf(): JsonSchema {
  return z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
}

function leaves(schema: JsonSchema, path: readonly string[]): ConfigKey[] {
  return Object.entries(schema.properties ?? {}).flatMap(([step, child]) => {
    const here = [...path, step];
    if (child.properties !== undefined) return leaves(child, here);
    const name = here.join('.');
    return {
      name,
      variable: variableOf(name),
      about: child.description ?? '',
      kind: KINDS[child.type ?? ''] ?? 'text',
      fallback: child.default,
      isPath: PATHS.has(name),
      isReference: REFERENCES.has(name),
    };
  });
}

/** `limits.bodyBytesMax` is `MODELKEEP_LIMITS_BODY_BYTES_MAX`. */
function variableOf(name: string): string {
  return `MODELKEEP_${name
    .replaceAll('.', '_')
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .toUpperCase()}`;
}
