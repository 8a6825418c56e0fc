import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { createInProcessClient } from '../../src/server/in-process-client.ts';
import type { KeepClient } from '../../src/cli/keep-client.ts';
import { type House, openHouse } from '../../src/server/house.ts';
import { createKeep } from '../../src/server/keep.ts';

export interface TemporaryHouse extends AsyncDisposable {
  readonly house: House;
  readonly home: string;
  readonly base: string;
  /** The owner's requests. */
  readonly client: KeepClient;
}

/** A keep in a directory of its own, composed as `serve` does it and listening on a free port; removed when disposed. */
export async function openTemporaryHouse(
  flags: Readonly<Record<string, string>> = {},
): Promise<TemporaryHouse> {
  const home = join(await mkdtemp(join(tmpdir(), 'modelkeep-house-')), 'keep');
  const readFile = (): undefined => undefined;
  // Without the reserve: many keeps are made, and each would fill 64 MiB.
  const config = loadConfig({
    flags: { 'audit.reserveBytes': '0', ...flags },
    env: {},
    homeDirectory: home,
    readFile,
  });
  const common = { home, config, clock: systemClock, log: silentLog };
  await createKeep(common);
  const house = await openHouse({ ...common, environment: {}, readFile });
  const address = await house.server.listen({ host: '127.0.0.1', port: 0 });
  if (address.kind !== 'tcp') throw new TypeError('not a TCP listener');
  return {
    house,
    home,
    base: address.url,
    client: createInProcessClient(house.server, async () => {}),
    async [Symbol.asyncDispose]() {
      await house[Symbol.asyncDispose]();
      await rm(home, { recursive: true });
    },
  };
}
