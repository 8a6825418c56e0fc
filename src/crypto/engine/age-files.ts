import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { looksArmored } from '../age/armor.ts';
import { createFileKey, createUnwrapper, type Opening, type Sealing } from '../age/file-key.ts';
import { readHeader } from '../age/header.ts';
import { checkSalt, payloadKey, SALT_BYTES } from '../age/payload.ts';
import { createReader } from '../age/reader.ts';
import { fillDurably } from '../durable-file.ts';
import type { Parallelism } from './payload-pipeline.ts';
import { runSegments, type SegmentJob } from './segment-pool.ts';
import type { PayloadPlan } from './segments.ts';
import { unreadable } from './transfer.ts';

/** Regular files on both sides: the fastest way, because each thread reads and writes its own places. */

export interface FilePair extends Parallelism {
  readonly input: string;
  readonly output: string;
  readonly force: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Encrypts to a binary age file. Throws as `encryptFile`. */
export async function sealFilePair(pair: FilePair, sealing: Sealing): Promise<void> {
  await using input = await openInput(pair.input);
  const { size } = await input.stat();
  const { header, fileKey } = await createFileKey(sealing);
  const salt = randomBytes(SALT_BYTES);
  const key = payloadKey(fileKey, salt);
  fileKey.fill(0);
  const front = Buffer.concat([header, salt]);
  const plan = { direction: 'seal', inputStart: 0, outputStart: front.length, inputBytes: size } as const;
  await fillDurably({ path: pair.output, replace: pair.force }, async (output) => {
    for (let at = 0; at < front.length; )
      at += (await output.write(front, at, front.length - at, at)).bytesWritten;
    await runSegments({ plan, key, input: input.fd, output: output.fd, ...share(pair, plan, size) });
  });
}

/**
 * Decrypts a binary age file; gives false, and does nothing, if it is armored. The output appears only when every chunk
 * is verified. Throws as `decryptFile`.
 */
export async function openFilePair(pair: FilePair, opening: Opening): Promise<boolean> {
  const unwrap = createUnwrapper(opening);
  await using input = await openInput(pair.input);
  const reader = createReader(readFrom(input));
  if (await looksArmored(reader)) return false;
  const header = await readHeader(reader);
  const fileKey = await unwrap(header);
  const key = payloadKey(fileKey, checkSalt(await reader.take(SALT_BYTES)));
  fileKey.fill(0);
  const inputStart = header.length + SALT_BYTES;
  const { size } = await input.stat();
  const inputBytes = Math.max(0, size - inputStart);
  const plan = { direction: 'open', inputStart, outputStart: 0, inputBytes } as const;
  await fillDurably({ path: pair.output, replace: pair.force }, (output) =>
    runSegments({ plan, key, input: input.fd, output: output.fd, ...share(pair, plan, size) }),
  );
  return true;
}

/** Progress counts the whole input, of which the payload is the end. */
function share(
  { jobs, parallelBytesMin, signal, onProgress }: FilePair,
  { inputBytes }: PayloadPlan,
  size: number,
): Pick<SegmentJob, 'jobs' | 'signal' | 'onProgress'> {
  const tell = onProgress && ((done: number) => onProgress(size - inputBytes + done, size));
  return { jobs: size < parallelBytesMin ? 1 : jobs, signal, onProgress: tell };
}

async function openInput(path: string): Promise<FileHandle> {
  return open(path, 'r').catch((error: unknown) => {
    throw unreadable(path, error);
  });
}

/** Headers are small; a file that is none is refused at its first bytes. */
const FRONT_BYTES = 4096;

async function* readFrom(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(FRONT_BYTES), 0, FRONT_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
