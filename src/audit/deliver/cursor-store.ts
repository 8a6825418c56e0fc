import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isMissing, syncDirectory } from '../log-files.ts';

/** How far a sink has come. Everything below `next` was taken by the receiver or is a dead letter. */
export interface Cursor {
  readonly v: 1;
  /** Of the log it stands in. */
  readonly origin: string;
  readonly next: number;
  /** Leaf hash of entry `next - 1`, hex: tells another log from this one. Empty at the start. */
  readonly leaf: string;
  readonly deadLetters: number;
  /** The newest dead letters, at most 32. */
  readonly lastDeadLetters: readonly DeadLetter[];
}

export interface DeadLetter {
  readonly index: number;
  readonly reason: string;
}

export interface CursorStore {
  /** Undefined if the sink has none yet, or one that cannot be read: delivery then begins at the start of the log. */
  load(sink: string): Promise<Cursor | undefined>;
  /** Durable when it resolves. A reader sees the old one or the new one. */
  save(sink: string, cursor: Cursor): Promise<void>;
}

const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
const natural = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const cursor = z.strictObject({
  v: z.literal(1),
  origin: z.string(),
  next: natural,
  leaf: z.string().regex(/^(?:[0-9a-f]{64})?$/),
  deadLetters: natural,
  lastDeadLetters: z.array(z.strictObject({ index: natural, reason: z.string() })).max(32),
});

/** One file `<sink>.json` below `directory`, which is made if it is not there. */
export function createFileCursors(directory: string): CursorStore {
  const pathOf = (sink: string): string => {
    if (!NAME.test(sink)) throw new TypeError(`"${sink}" cannot name a sink`);
    return join(directory, `${sink}.json`);
  };
  return {
    async load(sink) {
      try {
        const parsed = cursor.safeParse(JSON.parse(await readFile(pathOf(sink), 'utf8')));
        return parsed.data;
      } catch (error) {
        if (isMissing(error) || error instanceof SyntaxError) return undefined;
        throw error;
      }
    },
    async save(sink, value) {
      const path = pathOf(sink);
      const made = await mkdir(directory, { recursive: true, mode: 0o700 });
      const file = await open(`${path}.tmp`, 'w', 0o600);
      try {
        await file.writeFile(`${JSON.stringify(value)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.tmp`, path);
      syncDirectory(directory);
      if (made !== undefined) syncDirectory(join(directory, '..'));
    },
  };
}
