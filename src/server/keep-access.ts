import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliFailure } from '../cli/failure.ts';
import type { CliIo } from '../cli/io.ts';
import type { KeepAccess } from '../cli/keep-client.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { createLog, type Log, silentLog } from '../kernel/log.ts';
import { engageCast } from './demo/cast.ts';
import { commandWords, pasteableCommands } from './demo/pasteable.ts';
import { giveTour } from './demo/tour.ts';
import { type House, openHouse } from './house.ts';
import { createInProcessClient } from './in-process-client.ts';
import { createKeep, type KeepOptions } from './keep.ts';
import { keepPaths } from './keep-directory.ts';

/** What the command line can do with a keep on this machine. */
export function createKeepAccess(io: CliIo): KeepAccess {
  const { clock, environment } = io;
  const configFor = (home: string, flags: Readonly<Record<string, string>> = {}): Config =>
    loadConfig({ flags, env: environment, homeDirectory: home, readFile: readIfPresent });
  const open = (home: string, config: Config, log: Log): Promise<House> =>
    openHouse({ home, config, environment, readFile: readIfPresent, clock, log, ...ask() });
  const ask = (): Pick<KeepOptions, 'askPassphrase'> => {
    const { prompt } = io;
    return prompt === undefined ? {} : { askPassphrase: (message) => prompt.password(message) };
  };
  /** For a passphrase that is new: a slip of the finger would lock the keep. */
  const askTwice = (): Pick<KeepOptions, 'askPassphrase'> => {
    const { prompt } = io;
    if (prompt === undefined) return {};
    return {
      async askPassphrase(message) {
        const first = await prompt.password(message);
        const again = await prompt.password('once more');
        if (first.reveal() !== again.reveal()) throw new CliFailure('the two passphrases differ');
        return first;
      },
    };
  };
  const operatorLog = (): Log => createLog({ write: (line) => io.stderr.write(line), clock });

  return {
    async initKeep({ home }) {
      const { paths, setupToken, recipient, rootKey, verifierKey } = await createKeep({
        home,
        config: configFor(home),
        clock,
        log: silentLog,
        environment,
        ...askTwice(),
      });
      return { home: paths.home, setupToken, recipient, rootKeyCopy: rootKey.keep, verifierKey };
    },

    async openClient({ home }) {
      const house = await open(home, configFor(home), silentLog);
      return createInProcessClient(house.server, async () => house[Symbol.asyncDispose]());
    },

    async serve({ home, flags, signal }) {
      const config = configFor(home, flags);
      const log = operatorLog();
      await using house = await open(home, config, log);
      await listen(house, config, log);
      await untilAborted(signal);
      log.info('server.stopping');
      return 0;
    },

    async demo({ home = join(process.cwd(), 'keep-demo'), exit, port, signal }) {
      const say = (line: string): void => void io.stdout.write(`${line}\n`);
      const paths = keepPaths(home);
      if (readIfPresent(paths.keyring) === undefined) {
        await createKeep({ home, config: configFor(home), clock, log: silentLog, environment });
        await writeFile(paths.configuration, 'serving:\n  defaultModel: default/polarity\n', { mode: 0o600 });
      }
      const flags = port === undefined ? {} : { 'listen.port': String(port) };
      const config = configFor(home, flags);
      await using house = await open(home, config, exit ? silentLog : operatorLog());
      const client = createInProcessClient(house.server, async () => {});
      const cast = await engageCast(client);
      const base = await listen(house, config, silentLog, port === undefined);

      say(`The demo keep lies in ${paths.home} and listens on ${base}`);
      for (const model of cast.models) {
        say(
          `   model ${model.name}, version ${model.number}, ${model.bytes} bytes, sha256 ${model.digest.slice(0, 16)}`,
        );
      }
      const failures = await giveTour({
        base,
        cast,
        paths,
        clock,
        say,
        vkey: house.keep.audit.vkey,
        seal: async () => void (await house.keep.audit.checkpoint()),
        blobOf: async (name) => {
          const { blob } = await house.keep.database.query
            .selectFrom('versions')
            .innerJoin('models', 'models.id', 'versions.model_id')
            .select('versions.blob')
            .where('models.name', '=', name)
            .executeTakeFirstOrThrow();
          return join(paths.blobs, blob.slice(0, 2), blob);
        },
      });
      say(
        failures.length === 0
          ? 'Every step went as it must.'
          : `${failures.length} steps did not go as they must.`,
      );
      if (exit) return failures.length === 0 ? 0 : 1;

      say('The keep serves on until Ctrl-C. In this directory, paste into another terminal:');
      const command = commandWords(import.meta.url);
      for (const [about, line] of pasteableCommands({ base, home: paths.home, cast, command })) {
        say(`   # ${about}`);
        say(`   ${line}`);
      }
      await untilAborted(signal);
      return failures.length === 0 ? 0 : 1;
    },
  };
}

/** Watches the log, opens the configured listeners and the owner's socket; resolves with the base URL. */
async function listen(house: House, config: Config, log: Log, orAnyPort = false): Promise<string> {
  await house.watch();
  const { server, keep } = house;
  await server.listen({ path: keep.paths.socket });
  const { host, port } = config.listen;
  const address = await server.listen({ host, port }).catch((error: unknown) => {
    if (!orAnyPort) throw error;
    return server.listen({ host, port: 0 });
  });
  if (config.management.listen !== undefined) await server.listen(config.management.listen);
  if (address.kind !== 'tcp') throw new TypeError('a listener on a host is a TCP listener');
  log.info('server.listening', { url: address.url, host: address.host, port: address.port });
  return address.url;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
