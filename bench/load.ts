import { connect } from 'node:net';

export interface LoadResult {
  readonly perSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly connections: number;
  readonly durationMs: number;
}

/**
 * Sends one prepared request over and over on each of `connections` keep-alive connections, the next when the last is
 * answered. A raw socket costs the generator a tenth of what an HTTP client would. Any status but 200 is an error.
 */
export async function measureLoad(options: LoadOptions): Promise<LoadResult> {
  const request = Buffer.from(
    [
      `POST ${options.path} HTTP/1.1`,
      `host: 127.0.0.1:${options.port}`,
      'content-type: application/json',
      `content-length: ${Buffer.byteLength(options.body)}`,
      ...Object.entries(options.headers).map(([name, value]) => `${name}: ${value}`),
      '',
      options.body,
    ].join('\r\n'),
  );
  const started = performance.now();
  const deadline = started + options.durationMs;
  const latencies: number[] = [];
  await Promise.all(
    Array.from({ length: options.connections }, () => drive(options.port, request, deadline, latencies)),
  );
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (fraction: number): number => latencies[Math.floor(latencies.length * fraction)] ?? Number.NaN;
  return { perSecond: latencies.length / seconds, p50: at(0.5), p99: at(0.99) };
}

function drive(port: number, request: Buffer, deadline: number, latencies: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    let received = '';
    let sentAt = 0;
    const send = (): void => {
      sentAt = performance.now();
      socket.write(request);
    };
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1');
      const head = received.indexOf('\r\n\r\n');
      if (head < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(received)?.[1]);
      if (received.length < head + 4 + length) return;
      if (!received.startsWith('HTTP/1.1 200')) {
        socket.destroy();
        reject(new Error(`the server answered: ${received.slice(0, 400)}`));
        return;
      }
      latencies.push(performance.now() - sentAt);
      received = '';
      if (performance.now() < deadline) send();
      else {
        socket.end();
        resolve();
      }
    });
  });
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
