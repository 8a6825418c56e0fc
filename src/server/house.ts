import { readFile } from 'node:fs/promises';
import { Registry } from 'prom-client';
import type { Config } from '../config/config.ts';
import { resolveSecret } from '../config/secret-reference.ts';
import type { Environment } from '../config/environment.ts';
import { createHttpMetrics } from '../http/metrics.ts';
import { createHttpServer, type HttpServer } from '../http/server.ts';
import type { Gate } from '../http/gate.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import { createGate } from './gate.ts';
import { type Keep, type KeepOptions, openKeep } from './keep.ts';
import { createRouteTable } from './route-table.ts';

/** An open keep and the server over it, not listening and not watching its log yet. Disposing closes the server, then the keep. */
export interface House extends AsyncDisposable {
  readonly keep: Keep;
  readonly server: HttpServer;
  /** Begins to follow the log: to detect, deliver, index, and delete what is too old. */
  watch(): Promise<void>;
}

export interface HouseOptions {
  readonly home: string;
  readonly config: Config;
  readonly environment: Environment;
  readonly readFile: (path: string) => string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly askPassphrase?: KeepOptions['askPassphrase'];
  /** For benchmarks, which measure the same path without its guards. */
  readonly gate?: (keep: Keep) => Gate;
}

/** Composes everything; whatever fails, what was opened before is closed again. */
export async function openHouse(options: HouseOptions): Promise<House> {
  const { config, clock, log } = options;
  await using opening = new AsyncDisposableStack();
  const keep = opening.use(await openKeep(options));
  const metrics = new Registry();
  const { identity, access, audit, database } = keep;
  const gate =
    options.gate?.(keep) ??
    createGate({
      authenticator: identity.authenticator,
      access,
      audit,
      database,
      responses: keep.watch.responses,
      receipts: keep.receipts,
      clock,
      acceptBasic: config.auth.basic,
    });
  const release = await readRelease();
  if (config.tls.mode === 'terminated-upstream' && config.trustedProxies.length === 0) {
    // Everyone would have the proxy's address: guesses of one would be held against all.
    log.warn('server.no_trusted_proxies', { setting: 'trustedProxies' });
  }
  const tls = readTls(options);
  const server = opening.adopt(
    await createHttpServer({
      routes: createRouteTable({ keep, config, metrics, release }),
      gate,
      limits: config.limits,
      log,
      clock,
      ...(tls === undefined ? {} : { tls }),
      tlsTerminatedUpstream: config.tls.mode === 'terminated-upstream',
      trustedProxies: config.trustedProxies,
      metrics: createHttpMetrics(metrics),
    }),
    async (opened) => {
      await opened.close();
    },
  );
  const opened = opening.move();
  return {
    keep,
    server,
    watch: () => keep.watch.start(metrics, release),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

function readTls({
  config,
  environment,
  readFile,
}: HouseOptions): Parameters<typeof createHttpServer>[0]['tls'] {
  const { certificate, key } = config.tls;
  if (certificate === undefined || key === undefined) return undefined;
  const cert = readFile(certificate);
  if (cert === undefined) throw new Error(`there is no certificate file ${certificate}`);
  return { cert, key: resolveSecret(key, { env: environment, readFile }) };
}

/** `package.json` lies two folders up, from `src/server` as from `dist/server`. */
async function readRelease(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
