import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { draft } from './audit-log.contract.ts';
import { openAuditLog } from './log.ts';
import { createNoteSigner, type NoteSigner } from './note.ts';
import { encodeBundle, parseBundle } from './tile.ts';

/** Sealed entries, and those behind them: two full bundles, one of eight, and a tail in the wal alone. */
export const SIZE = 520;
export const UNSEALED = 3;

/** A sound log as a keep leaves it when it is killed, to make damaged copies of. */
export interface SoundLog {
  readonly directory: string;
  readonly privateKey: KeyObject;
  readonly signer: NoteSigner;
  /** A fresh name in the same temporary directory. */
  place(): string;
  copy(): string;
  remove(): void;
}

export async function makeSoundLog(): Promise<SoundLog> {
  const root = mkdtempSync(join(tmpdir(), 'modelkeep-verify-'));
  const { privateKey } = generateKeyPairSync('ed25519');
  const signer = createNoteSigner('keep.test/audit', privateKey);
  const directory = join(root, 'sound');
  let count = 0;
  const place = (): string => join(root, `place-${count++}`);
  const running = place();
  const log = await openAuditLog({
    directory: running,
    signingKey: privateKey,
    origin: signer.name,
    clock: createManualClock(),
    log: silentLog,
    tuning: { sealMs: 60_000 },
  });
  await Promise.all(Array.from({ length: SIZE }, (_, at) => log.append(draft({ latencyUs: at }))));
  await log.checkpoint();
  for (let at = 0; at < UNSEALED; at++) await log.append(draft({ latencyUs: SIZE + at }));
  cpSync(running, directory, { recursive: true });
  await log.close();
  return {
    directory,
    privateKey,
    signer,
    place,
    copy() {
      const copied = place();
      cpSync(directory, copied, { recursive: true });
      return copied;
    },
    remove: () => rmSync(root, { recursive: true }),
  };
}

/** What a tampering makes of the bytes of a file. */
export type Edit = (bytes: Buffer) => Uint8Array;

export function change(directory: string, file: string, edit: Edit): void {
  const path = join(directory, file);
  writeFileSync(path, edit(readFileSync(path)));
}

/** Flips one bit of a byte; a negative place counts from the end. */
export function flipAt(at: number): Edit {
  return (bytes) => {
    const place = at < 0 ? bytes.length + at : at;
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    return bytes;
  };
}

/** Byte offset of the n-th entry of a bundle, behind its length. */
export function entryAt(bytes: Buffer, entry: number): number {
  let offset = 0;
  for (let at = 0; at < entry; at++) offset += 2 + bytes.readUInt16BE(offset);
  return offset + 2;
}

/** Flips a bit `plus` bytes into the n-th entry of a bundle. */
export function flipInEntry(entry: number, plus: number): Edit {
  return (bytes) => flipAt(entryAt(bytes, entry) + plus)(bytes);
}

/** Changes the list of entries of a bundle; what comes out is a well-formed bundle. */
export function editEntries(work: (entries: Uint8Array[]) => void): Edit {
  return (bytes) => {
    const entries = [...parseBundle(bytes).entries];
    work(entries);
    return encodeBundle(entries);
  };
}
