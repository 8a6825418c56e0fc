import { configKeys } from './key.ts';
import type { LoadedConfig } from './load.ts';

/** One line of `config show`. */
export interface DescribedKey {
  readonly name: string;
  /** Undefined: not set, and there is no default. */
  readonly value: unknown;
  /** `default`, `flag`, a variable, or a line of the file. */
  readonly origin: string;
  readonly variable: string;
}

/** Every key with its value and where that comes from. Holds no secret: the configuration has references only. */
export function describeConfig({ config, origins }: LoadedConfig): readonly DescribedKey[] {
  return configKeys.map(({ name, variable }) => {
    let value: unknown = config;
    for (const step of name.split('.')) value = (value as Record<string, unknown> | undefined)?.[step];
    return {
      name,
      value,
      origin: origins.get(name) ?? (value === undefined ? 'unset' : 'default'),
      variable,
    };
  });
}
