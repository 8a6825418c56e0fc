import { join, resolve } from 'node:path';
import { type Config, configSchema } from './config.ts';
import type { Environment } from './environment.ts';
import { parseConfigFile, type Setting } from './file.ts';
import { type ConfigKey, configKeys } from './key.ts';
import { isLoopback } from './loopback.ts';
import { nearestName } from './nearest.ts';
import { configProblems } from './problems.ts';
import { rootKeyContradictions } from './root-key.ts';

export interface ConfigSources {
  /** By the key's dotted name: `{ 'listen.port': '9000' }`. */
  readonly flags: Readonly<Record<string, string>>;
  readonly env: Environment;
  /** The keep's directory; `modelkeep.yaml` lies in it. */
  readonly homeDirectory: string;
  /** The text of a file, or undefined if there is none. Throws if there is one that cannot be read. */
  readonly readFile: (path: string) => string | undefined;
}

/** A configuration and where each of its values comes from. */
export interface LoadedConfig {
  readonly config: Config;
  /** By dotted name: `flag`, `MODELKEEP_LISTEN_PORT`, `modelkeep.yaml:3`; absent for defaults. */
  readonly origins: ReadonlyMap<string, string>;
}

export const CONFIG_FILE = 'modelkeep.yaml';

/** Flags over environment over file over defaults. Throws `config.invalid` with every violation at once. */
export function loadConfig(sources: ConfigSources): Config {
  return loadConfigWithOrigins(sources).config;
}

export function loadConfigWithOrigins(sources: ConfigSources): LoadedConfig {
  const violations: string[] = [];
  const values = new Map<string, unknown>();
  const origins = new Map<string, string>();
  const set = (key: ConfigKey, value: unknown, origin: string): void => {
    values.set(key.name, value);
    origins.set(key.name, origin);
  };

  for (const { name, value, line } of readSettings(sources)) {
    const origin = `${CONFIG_FILE}:${line}`;
    const key = byName.get(name);
    if (key !== undefined) set(key, fromFile(key, value, sources.homeDirectory), origin);
    else if (!isEmptySection(name, value)) violations.push(`${origin}: ${unknown(name, [...byName.keys()])}`);
  }
  for (const [variable, text] of Object.entries(sources.env)) {
    if (!variable.startsWith('MODELKEEP_') || text === undefined || RESERVED.has(variable)) continue;
    const key = byVariable.get(variable);
    if (key !== undefined) set(key, fromText(key, text), variable);
    else violations.push(unknown(variable, [...byVariable.keys(), ...RESERVED]));
  }
  for (const [name, text] of Object.entries(sources.flags)) {
    const key = byName.get(name);
    if (key !== undefined) set(key, fromText(key, text), 'flag');
    else violations.push(unknown(name, [...byName.keys()]));
  }

  const parsed = configSchema.safeParse(nested(values));
  if (!parsed.success) {
    for (const { path, message } of parsed.error.issues) {
      const name = path.filter((step) => typeof step === 'string').join('.');
      const origin = origins.get(name);
      violations.push(`${name}${origin === undefined ? '' : ` (${origin})`}: ${message}`);
    }
  } else {
    const isSet = (prefix: string): boolean => [...origins.keys()].some((name) => name.startsWith(prefix));
    violations.push(...contradictions(parsed.data), ...rootKeyContradictions(parsed.data.rootKey, isSet));
  }
  if (violations.length > 0 || !parsed.success) {
    throw configProblems.invalid(violations.join('; '), { members: { violations } });
  }
  return { config: deepFreeze(parsed.data), origins };
}

const byName: ReadonlyMap<string, ConfigKey> = new Map(configKeys.map((key) => [key.name, key]));
const byVariable: ReadonlyMap<string, ConfigKey> = new Map(configKeys.map((key) => [key.variable, key]));

/** Variables that set no key: those of the command line, and those that hold a root key. */
const RESERVED: ReadonlySet<string> = new Set([
  'MODELKEEP_HOME',
  'MODELKEEP_SERVER',
  'MODELKEEP_USER',
  'MODELKEEP_PASSWORD_FILE',
  'MODELKEEP_API_KEY',
  'MODELKEEP_API_KEY_FILE',
  'MODELKEEP_ROOT_KEY',
  'MODELKEEP_ROOT_KEY_PREVIOUS',
]);

function readSettings({ homeDirectory, readFile }: ConfigSources): Setting[] {
  const path = join(homeDirectory, CONFIG_FILE);
  let text: string | undefined;
  try {
    text = readFile(path);
  } catch (error) {
    throw configProblems.unreadable(`${path} cannot be read.`, { cause: error });
  }
  if (text === undefined) return [];
  try {
    return parseConfigFile(text).map((setting) =>
      setting.name === 'tls' && typeof setting.value === 'string'
        ? { ...setting, name: 'tls.mode' }
        : setting,
    );
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw configProblems.unreadable(`${path} is not acceptable YAML: ${error.message}.`);
  }
}

/** `limits:` with nothing below it sets nothing and is no mistake. */
function isEmptySection(name: string, value: unknown): boolean {
  const empty = value === null || (typeof value === 'object' && Object.keys(value).length === 0);
  return empty && configKeys.some((key) => key.name.startsWith(`${name}.`));
}

function unknown(name: string, names: readonly string[]): string {
  const nearest = nearestName(name, names);
  return `${name} is not a configuration key${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
}

/** A flag or a variable is text; what cannot be read stays text, and the schema says what it expected. */
function fromText({ kind }: ConfigKey, text: string): unknown {
  switch (kind) {
    case 'number':
      return /^-?[0-9]+$/.test(text) ? Number(text) : text;
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'list':
      return text === '' ? [] : text.split(',').map((item) => item.trim());
    case 'text':
      return text;
    default:
      return kind satisfies never;
  }
}

function fromFile({ isPath, isReference }: ConfigKey, value: unknown, homeDirectory: string): unknown {
  if (isReference && typeof value === 'string' && value.startsWith('file:'))
    return `file:${resolve(homeDirectory, value.slice('file:'.length))}`;
  if (!isPath || typeof value !== 'string' || value.startsWith('env:') || value.startsWith('-----'))
    return value;
  const path = value.startsWith('file:') ? value.slice('file:'.length) : value;
  return resolve(homeDirectory, path);
}

function nested(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const tree: Record<string, unknown> = {};
  for (const [name, value] of values) {
    const steps = name.split('.');
    const last = steps.pop() as string;
    let node = tree;
    for (const step of steps) node = (node[step] ??= {}) as Record<string, unknown>;
    node[last] = value;
  }
  return tree;
}

/** What each key alone cannot show. */
function contradictions({ listen, management, tls }: Config): string[] {
  const found: string[] = [];
  if ((tls.certificate === undefined) !== (tls.key === undefined)) {
    found.push('tls: certificate and key belong together; one is missing');
  }
  const encrypted = tls.certificate !== undefined;
  if (encrypted && tls.mode === 'terminated-upstream') {
    found.push('tls: either this server ends TLS (certificate, key) or a proxy does (mode), not both');
  }
  for (const [name, at] of Object.entries({ listen, 'management.listen': management.listen })) {
    if (at === undefined || isLoopback(at.host) || encrypted || tls.mode === 'terminated-upstream') continue;
    found.push(
      `${name}.host: ${at.host} is reachable from other machines, and without TLS passwords and keys would cross the ` +
        'network in clear. Set tls.certificate and tls.key (--tls-cert, --tls-key); or, if a proxy in front ends TLS, ' +
        'tls: terminated-upstream; or listen on 127.0.0.1',
    );
  }
  return found;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
