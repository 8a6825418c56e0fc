import { createHmac, type KeyObject, timingSafeEqual } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { deserialize, serialize } from 'node:v8';
import { isMissing } from '../log-files.ts';
import type { SavedPart } from './detector.ts';

/** What detection has made of the log below an index. */
export interface DetectionState {
  /** Origin of the log. */
  readonly origin: string;
  /** Entries below this are taken in. */
  readonly next: number;
  readonly parts: readonly SavedPart[];
}

export interface StateStore {
  /** Undefined if there is none, or none that can be trusted: it is made again from the log. */
  read(): Promise<DetectionState | undefined>;
  write(state: DetectionState): Promise<void>;
}

const HEAD = Buffer.from('modelkeep detection 1\n');
const MAC_BYTES = 32;

/** A file that only the holder of `key` can write: its bytes are not looked into before its HMAC is found right. */
export function createStateFile(path: string, key: KeyObject): StateStore {
  const macOf = (bytes: Uint8Array): Buffer => createHmac('sha256', key).update(HEAD).update(bytes).digest();
  return {
    async read() {
      const file = await readFile(path).catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      if (file === undefined || file.length < HEAD.length + MAC_BYTES) return undefined;
      const bytes = file.subarray(HEAD.length + MAC_BYTES);
      const mac = file.subarray(HEAD.length, HEAD.length + MAC_BYTES);
      if (!file.subarray(0, HEAD.length).equals(HEAD) || !timingSafeEqual(mac, macOf(bytes)))
        return undefined;
      return deserialize(bytes) as DetectionState;
    },
    async write(state) {
      const bytes = serialize(state);
      const temporary = `${path}.tmp`;
      try {
        const file = await open(temporary, 'w', 0o600);
        try {
          await file.writeFile(Buffer.concat([HEAD, macOf(bytes), bytes]));
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, path);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
  };
}
