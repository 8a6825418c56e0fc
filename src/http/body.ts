import type { IncomingMessage } from 'node:http';
import { type Readable, Transform } from 'node:stream';
import type { Problem } from '../kernel/problem.ts';
import { httpProblems } from './problems.ts';

export interface BodyLimits {
  readonly bytesMax: number;
  /** Whole body for `readBody`, between two chunks for `limitStream`. */
  readonly ms: number;
}

/** Lets the connection tell whoever reads the body that the rest will not come. */
export interface Breakable {
  broken: Problem | undefined;
  onBroken: ((problem: Problem) => void) | undefined;
}

/** Claims that the request announces a body. */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && Number(length) > 0);
}

/** Throws `http.body_too_large` on what the headers announce, before a byte is read. */
export function checkAnnouncedLength(request: IncomingMessage, bytesMax: number): void {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax);
}

/** Throws `http.unsupported_media_type` unless the body is of `mediaType`, not compressed, and UTF-8 if it is JSON. */
export function checkMediaType(request: IncomingMessage, mediaType: string): void {
  const coding = request.headers['content-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'identity') {
    throw httpProblems.unsupported_media_type('Content encodings are not accepted; send the plain bytes.');
  }
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '').toLowerCase().split(';');
  const given = type.trim();
  const json = mediaType === 'application/json';
  const fits =
    mediaType === '*/*' ||
    given === mediaType ||
    (json && /^application\/[a-z0-9.!#$&^_-]+\+json$/.test(given));
  if (!fits) throw httpProblems.unsupported_media_type(`This route takes ${mediaType}; set content-type.`);
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.trim().split('=');
    if (json && name === 'charset' && value.replaceAll('"', '') !== 'utf-8') {
      throw httpProblems.unsupported_media_type('JSON is UTF-8; no other charset is read.');
    }
  }
}

/** All bytes of the body. Throws problems for too much, too slow, broken off. */
export function readBody(request: IncomingMessage, link: Breakable, limits: BodyLimits): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (problem: Problem | undefined): void => {
      clearTimeout(timer);
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      link.onBroken = undefined;
      if (problem === undefined) resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks));
      else {
        request.on('error', ignore);
        request.pause();
        reject(problem);
      }
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > limits.bytesMax) settle(tooLarge(limits.bytesMax));
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle(undefined);
    const onClose = (): void => settle(gone());
    const timer = setTimeout(() => settle(tooSlow()), limits.ms);
    if (link.broken !== undefined) settle(link.broken);
    else if (request.destroyed && !request.readable) settle(gone());
    else {
      link.onBroken = settle;
      request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
    }
  });
}

/** The body as a stream that fails with a Problem when it is too large, stalls or breaks off. */
export function limitStream(request: IncomingMessage, link: Breakable, limits: BodyLimits): Readable {
  let size = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      timer.refresh();
      size += chunk.length;
      if (size > limits.bytesMax) done(tooLarge(limits.bytesMax));
      else done(null, chunk);
    },
    destroy(error, done) {
      clearTimeout(timer);
      link.onBroken = undefined;
      request.unpipe(stream);
      request.pause();
      done(error);
    },
    flush(done) {
      clearTimeout(timer);
      done();
    },
  });
  // A handler that is busy with the disk reads nothing for a while: only silence of the client counts.
  const timer = setTimeout(() => {
    if (stream.writableNeedDrain) timer.refresh();
    else stream.destroy(tooSlow());
  }, limits.ms);
  link.onBroken = (problem) => stream.destroy(problem);
  request.on('error', ignore);
  request.on('close', () => {
    if (!request.readableEnded) stream.destroy(gone());
  });
  // A handler that refuses before it reads leaves the stream without a listener; its failure is the handler's own.
  stream.on('error', ignore);
  if (link.broken !== undefined) stream.destroy(link.broken);
  else request.pipe(stream);
  return stream;
}

const ignore = (): void => {};
const tooLarge = (bytesMax: number): Problem =>
  httpProblems.body_too_large(`The body is larger than ${bytesMax} bytes.`, { members: { bytesMax } });
const tooSlow = (): Problem => httpProblems.slow_request('The body did not arrive in time.');
const gone = (): Problem => httpProblems.client_gone('The connection closed before the body was complete.');
