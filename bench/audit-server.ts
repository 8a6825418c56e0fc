import { generateKeyPairSync } from 'node:crypto';
import { fdatasyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import pino from 'pino';
import { openAuditLog } from '../src/audit/log.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { eventOf } from './audit-event.ts';

/** `node audit-server.ts DIRECTORY MODE`: answers a small JSON once the event is logged; says `{port}` to its parent. */
const [directory = '', mode = ''] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const logger = await open();
let requests = 0;
const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    const done = logger.log(requests++);
    if (done === undefined) answer();
    else void done.then(answer);
  });
  const answer = (): void => {
    const body = JSON.stringify({ prediction: 'setosa' });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  };
});
server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => void logger.close().then(() => process.exit(0)));

interface Logger {
  /** Returns when the event is in the hands of whoever writes it, or resolves when it is on the disk. */
  log(request: number): Promise<unknown> | undefined;
  close(): Promise<void>;
}

async function open(): Promise<Logger> {
  const close = async (): Promise<void> => {};
  const path = join(directory, 'events.log');
  if (mode === 'durable') {
    const audit = await openAuditLog({
      directory,
      signingKey: generateKeyPairSync('ed25519').privateKey,
      origin: 'bench.test/audit',
      clock: systemClock,
      log: silentLog,
    });
    return { log: (request) => audit.append(eventOf(request)), close: () => audit.close() };
  }
  if (mode === 'pino async' || mode === 'pino sync') {
    const file = pino(pino.destination({ dest: path, sync: mode === 'pino sync' }));
    const log = (request: number): undefined => {
      file.info(eventOf(request));
    };
    return { log, close };
  }
  if (mode === 'each alone') {
    const fd = openSync(path, 'a');
    const log = (request: number): undefined => {
      writeSync(fd, `${JSON.stringify({ ...eventOf(request), time: systemClock.now() })}\n`);
      fdatasyncSync(fd);
    };
    return { log, close };
  }
  return { log: () => undefined, close };
}
