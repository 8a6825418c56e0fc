import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import type { Secret } from '../../../kernel/secret.ts';
import { createFormat, type FormatName } from '../format/format.ts';
import { formatSyslog, frameSyslog } from '../format/syslog.ts';
import { LIMITS, type Sink, SinkUnavailable } from './sink.ts';

export interface SyslogSettings {
  readonly kind: 'syslog';
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly format: FormatName;
  /** Certificates to trust instead of the public ones, PEM. */
  readonly ca?: string | undefined;
  /** Client certificate and key, PEM. */
  readonly certificate?: string | undefined;
  readonly key?: Secret<string> | undefined;
}

const TIMEOUT_MS = 10_000;

/**
 * RFC 5424 messages over TLS (RFC 5425). The protocol has no acknowledgement: a batch counts as taken when TLS has
 * written it and the connection still stands. What was under way when a connection broke may be lost; the numbers of
 * the entries show the gap, and any other sink closes it.
 */
export function createSyslogSink(
  settings: SyslogSettings,
  { version, hostname, processId }: { version: string; hostname: string; processId: number },
): Sink {
  const { name, kind, format } = settings;
  const render = createFormat(format, version);
  let socket: TLSSocket | undefined;

  return {
    name,
    kind,
    limits: LIMITS,
    render: (event) => frameSyslog(formatSyslog(event, render(event), { hostname, version, processId })),
    async send({ items }, signal) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
      socket ??= await open(settings, limit, () => {
        socket = undefined;
      });
      await write(socket, items.map(({ text }) => text).join(''), limit);
      return 0;
    },
    async close() {
      socket?.end();
      socket = undefined;
    },
  };
}

async function open(settings: SyslogSettings, signal: AbortSignal, onGone: () => void): Promise<TLSSocket> {
  const { host, port, ca, certificate, key } = settings;
  const socket = connect({
    host,
    port,
    servername: host,
    minVersion: 'TLSv1.2',
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key: key.reveal() }),
  });
  try {
    await once(socket, 'secureConnect', { signal });
  } catch (error) {
    socket.destroy();
    throw error;
  }
  // A receiver says nothing. When it ends its side it is going away.
  socket
    .on('error', () => socket.destroy())
    .once('end', () => socket.destroy())
    .once('close', onGone)
    .resume();
  socket.unref();
  return socket;
}

async function write(socket: TLSSocket, text: string, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onClose = (): void =>
    reject(new SinkUnavailable('the connection was closed while it was written to'));
  const onAbort = (): void => {
    socket.destroy();
    reject(new SinkUnavailable('the receiver does not read'));
  };
  socket.once('close', onClose);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  else if (socket.destroyed) onClose();
  else socket.write(text, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } finally {
    socket.off('close', onClose);
    signal.removeEventListener('abort', onAbort);
  }
}
