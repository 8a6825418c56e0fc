import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import { describeConfig } from '../config/describe.ts';
import { configKeys } from '../config/key.ts';
import type { LoadedConfig } from '../config/load.ts';
import { configProblems } from '../config/problems.ts';
import { resolveSecret } from '../config/secret-reference.ts';
import { createSecretSource } from '../config/secret-source.ts';
import { isProblem } from '../kernel/problem.ts';

export interface SecretPlaces {
  readonly environment: Environment;
  /** The text of a file, or undefined if there is none. */
  readonly readFile: (path: string) => string | undefined;
}

/**
 * Looks up each secret that the configuration refers to as a start would, and drops it. Throws `config.invalid`, which
 * names every setting whose secret is not there or open to others, and holds none.
 */
export function checkSecrets(loaded: LoadedConfig, places: SecretPlaces): void {
  const violations = lookups(loaded, places).flatMap(({ setting, origin, find }) => {
    const fault = faultOf(find);
    return fault === undefined ? [] : [`${setting} (${origin}): ${fault}`];
  });
  if (violations.length > 0) throw configProblems.invalid(violations.join('; '), { members: { violations } });
}

interface Lookup {
  /** Dotted; in a sink by the name of the sink: `audit.sinks[siem].secret`. */
  readonly setting: string;
  readonly origin: string;
  readonly find: () => unknown;
}

function lookups(loaded: LoadedConfig, { environment, readFile }: SecretPlaces): Lookup[] {
  const { config } = loaded;
  const secrets = createSecretSource(environment);
  const keys = new Map(describeConfig(loaded).map((key) => [key.name, key]));
  const lookup = (name: string, find: (value: string) => unknown): Lookup[] => {
    const { value, origin = '' } = keys.get(name) ?? {};
    return typeof value === 'string' ? [{ setting: name, origin, find: () => find(value) }] : [];
  };
  const { provider, previousProvider } = config.rootKey;
  const isInEnvironment = provider === 'environment' || previousProvider === 'environment';
  return [
    ...lookup('tls.key', (path) => resolveSecret(path, { env: environment, readFile })),
    // The name of a variable, not a reference.
    ...(isInEnvironment
      ? lookup('rootKey.environment.variable', (variable) => secrets.resolve(`env:${variable}`))
      : []),
    ...configKeys
      .filter(({ isReference }) => isReference)
      .flatMap(({ name }) => lookup(name, (reference) => secrets.resolve(reference))),
    ...sinkReferences(config).map(({ setting, reference }) => ({
      setting,
      origin: keys.get('audit.sinks')?.origin ?? '',
      find: () => secrets.resolve(reference),
    })),
  ];
}

/** No other member of a sink looks like a reference. */
function sinkReferences({ audit }: Config): { readonly setting: string; readonly reference: string }[] {
  return audit.sinks.flatMap((sink) =>
    Object.entries(sink)
      .filter((member): member is [string, string] => /^(?:env:|file:\/)/.test(String(member[1])))
      .map(([member, reference]) => ({ setting: `audit.sinks[${sink.name}].${member}`, reference })),
  );
}

function faultOf(find: () => unknown): string | undefined {
  try {
    find();
    return undefined;
  } catch (error) {
    return isProblem(error) ? error.detail.replace(/\.$/, '') : 'it cannot be read';
  }
}
