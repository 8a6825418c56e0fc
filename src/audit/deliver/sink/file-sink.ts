import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from '../../log-files.ts';
import { createFormat, type FormatName } from '../format/format.ts';
import { LIMITS, type Sink } from './sink.ts';

export interface FileSettings {
  readonly kind: 'file';
  readonly name: string;
  /** Absolute. Its directory exists. */
  readonly path: string;
  readonly format: FormatName;
  /** A file that would grow beyond this becomes `path.1`, and what was `path.1` becomes `path.2`. */
  readonly rotateBytes: number;
  /** So many old files are kept. */
  readonly keepFiles: number;
}

/** Lines in a file, mode 0600, on the disk (fdatasync) when `send` resolves. */
export function createFileSink(settings: FileSettings, { version }: { version: string }): Sink {
  const { name, kind, path, format, rotateBytes, keepFiles } = settings;
  let file: { readonly handle: FileHandle; size: number } | undefined;

  async function rotate(): Promise<void> {
    await file?.handle.close();
    file = undefined;
    await rm(`${path}.${keepFiles}`, { force: true });
    for (let number = keepFiles - 1; number >= 0; number--) {
      const from = number === 0 ? path : `${path}.${number}`;
      await rename(from, `${path}.${number + 1}`).catch(unlessMissing);
    }
  }

  return {
    name,
    kind,
    limits: LIMITS,
    render: createFormat(format, version),
    async send({ items }) {
      const bytes = Buffer.from(items.map(({ text }) => `${text}\n`).join(''));
      file ??= await openWhole(path);
      if (file.size > 0 && file.size + bytes.length > rotateBytes) {
        await rotate();
        file = await openWhole(path);
      }
      try {
        await file.handle.appendFile(bytes);
        await file.handle.datasync();
        file.size += bytes.length;
      } catch (error) {
        // What was written of it is cut off when the file is opened again.
        await file.handle.truncate(file.size).catch(() => {});
        await file.handle.close().catch(() => {});
        file = undefined;
        throw error;
      }
      // Someone else's logrotate took the file away: go on in a new one.
      const present = await stat(path).catch(unlessMissing);
      const { ino } = await file.handle.stat();
      if (present?.ino !== ino) {
        await file.handle.close();
        file = undefined;
      }
      return 0;
    },
    async close() {
      await file?.handle.close();
      file = undefined;
    },
  };
}

/** Opens for appending, less a last line that a crash left without its end. */
async function openWhole(path: string): Promise<{ handle: FileHandle; size: number }> {
  const handle = await open(path, 'a+', 0o600);
  try {
    let { size } = await handle.stat();
    const block = Buffer.alloc(64 * 1024);
    let end = size;
    for (let keep = -1; end > 0 && keep < 0; ) {
      const start = Math.max(0, end - block.length);
      const { bytesRead } = await handle.read(block, 0, end - start, start);
      keep = block.subarray(0, bytesRead).lastIndexOf(0x0a);
      end = keep < 0 ? start : start + keep + 1;
    }
    if (end < size) {
      await handle.truncate(end);
      size = end;
    }
    // A new name is durable when its directory is.
    if (size === 0) syncDirectory(dirname(path));
    return { handle, size };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function unlessMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  return undefined;
}
