import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { createManualClock, type ManualClock } from '../../kernel/clock.ts';
import type { Log, LogFields } from '../../kernel/log.ts';
import { isProblem, type Problem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import type { RootKeyDeps, RootKeyOptions } from './root-key-options.ts';

/** Helpers for the tests of this folder. */

/** The problem that a promise rejects with, after looking that none of `secrets` is anywhere in it. */
export async function rejects(
  promise: Promise<unknown>,
  definition: ProblemDefinition,
  secrets: readonly string[] = [],
): Promise<Problem> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(isProblem(error, definition), inspect(error));
  const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error);
  for (const secret of secrets) {
    assert.ok(!shown.includes(secret), `a secret stands in ${error.code}`);
  }
  assert.doesNotMatch(shown, /AGE-SECRET-KEY-1[A-Z0-9]/);
  return error;
}

/** The section `rootKey` with nothing set but what `change` sets. */
export function rootKeyOptions(
  change: { [Key in keyof RootKeyOptions]?: Partial<RootKeyOptions[Key]> | RootKeyOptions[Key] },
): RootKeyOptions {
  const defaults: RootKeyOptions = {
    provider: 'file',
    credentials: { name: 'root.key', previousName: 'root.key.previous' },
    environment: { variable: 'MODELKEEP_ROOT_KEY', previousVariable: 'MODELKEEP_ROOT_KEY_PREVIOUS' },
    passphrase: {},
    vault: {
      mount: 'transit',
      derived: false,
      auth: 'token',
      jwtFile: '/none',
      timeoutMs: 2000,
      retriesMax: 2,
    },
    awsKms: { timeoutMs: 2000, retriesMax: 0 },
    pkcs11: { mechanism: 'aes-gcm' },
  };
  const merged = Object.entries(change).map(([key, value]) => {
    const before = defaults[key as keyof RootKeyOptions];
    return [key, typeof value === 'object' ? { ...(before as object), ...value } : value];
  });
  return { ...defaults, ...(Object.fromEntries(merged) as Partial<RootKeyOptions>) };
}

export interface TestDeps extends RootKeyDeps {
  readonly clock: ManualClock;
  /** `level event`. */
  readonly events: string[];
  readonly fields: LogFields[];
  /** Milliseconds of each wait. */
  readonly waits: number[];
  /** Variables that were taken. */
  readonly taken: string[];
}

export function testDeps(home: string, variables: Readonly<Record<string, string>> = {}): TestDeps {
  const events: string[] = [];
  const fields: LogFields[] = [];
  const waits: number[] = [];
  const taken: string[] = [];
  const at =
    (level: string) =>
    (event: string, given: LogFields = {}): void => {
      events.push(`${level} ${event}`);
      fields.push(given);
    };
  const log: Log = { info: at('info'), warn: at('warn'), error: at('error') };
  const take = (variable: string): Secret<string> | undefined => {
    taken.push(variable);
    const value = variables[variable];
    return value === undefined ? undefined : new Secret(value);
  };
  return {
    home,
    secrets: {
      take,
      resolve: (reference) => take(reference.replace('env:', '')) ?? assert.fail(`no ${reference}`),
    },
    credentialsDirectory: undefined,
    clock: createManualClock(),
    log,
    wait: async (ms) => void waits.push(ms),
    events,
    fields,
    waits,
    taken,
  };
}
