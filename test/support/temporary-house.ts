import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeepClient } from '../../src/cli/keep-client.ts';
import type { Environment } from '../../src/config/environment.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { type House, openHouse } from '../../src/server/house.ts';
import { createInProcessClient } from '../../src/server/in-process-client.ts';
import { createKeep } from '../../src/server/keep.ts';

export interface TemporaryHouse extends AsyncDisposable {
  /** The one that is open now: another one after a restart. */
  readonly house: House;
  readonly home: string;
  readonly base: string;
  /** The owner's requests. */
  readonly client: KeepClient;
  /** Closes the keep and opens it again from its directory. */
  restart(): Promise<void>;
}

export interface Surroundings {
  /** The text of `modelkeep.yaml`. */
  readonly file?: string;
  readonly environment?: Environment;
  readonly clock?: Clock;
}

/** A keep in a directory of its own, composed as `serve` does it and listening on a free port; removed when disposed. */
export async function openTemporaryHouse(
  flags: Readonly<Record<string, string>> = {},
  { file, environment = {}, clock = systemClock }: Surroundings = {},
): Promise<TemporaryHouse> {
  const home = join(await mkdtemp(join(tmpdir(), 'modelkeep-house-')), 'keep');
  // Without the reserve: many keeps are made, and each would fill 64 MiB.
  const config = loadConfig({
    flags: { 'audit.reserveBytes': '0', ...flags },
    env: {},
    homeDirectory: home,
    readFile: () => file,
  });
  const common = { home, config, clock, log: silentLog, environment };
  const open = async (): Promise<{ house: House; base: string; client: KeepClient }> => {
    const house = await openHouse({ ...common, readFile: () => undefined });
    const address = await house.server.listen({ host: '127.0.0.1', port: 0 });
    if (address.kind !== 'tcp') throw new TypeError('not a TCP listener');
    return { house, base: address.url, client: createInProcessClient(house.server, async () => {}) };
  };
  await createKeep(common);
  let current = await open();
  return {
    get house() {
      return current.house;
    },
    get base() {
      return current.base;
    },
    get client() {
      return current.client;
    },
    home,
    async restart() {
      await current.house[Symbol.asyncDispose]();
      current = await open();
    },
    async [Symbol.asyncDispose]() {
      await current.house[Symbol.asyncDispose]();
      await rm(home, { recursive: true });
    },
  };
}
