import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { sql } from 'kysely';
import type { ManagedKeyRing } from '../crypto/ring/key-ring.ts';
import type { KeyUsage, MoveResult, WrappedPlace } from '../crypto/ring/wrapped-place.ts';
import { collect, streamOf } from '../crypto/testing.ts';
import { decryptStream, encryptStream } from '../crypto/age/age.ts';
import type { Database } from '../storage/database.ts';

/** Paths of a keep of this room's own, small enough to be killed and opened again many times. */
export function keepPaths(directory: string) {
  return {
    ring: join(directory, 'keyring.age'),
    rootKey: join(directory, 'root.key'),
    database: join(directory, 'keep.db'),
  };
}

export interface Notes extends WrappedPlace {
  add(count: number): Promise<void>;
  /** Every note, opened with the version that it names. Throws if one does not open. */
  readAll(): Promise<readonly { readonly id: number; readonly text: string; readonly version: number }[]>;
}

export interface NotesOptions {
  readonly ring: ManagedKeyRing;
  readonly database: Database;
  readonly now: () => number;
  /** Called inside the transaction of each batch, after its rows were written and before they are durable. */
  readonly beforeCommit?: () => Promise<void>;
  /** Largest batch, whatever the job asks for. */
  readonly batchMax?: number;
}

export const NOTES_KEY = 'notes';

/** A place for tests: small texts in a table of their own, each an age file under the ring key `notes`. */
export async function createNotes(options: NotesOptions): Promise<Notes> {
  const { ring, database, now, beforeCommit = async () => {}, batchMax = Number.POSITIVE_INFINITY } = options;
  const { query } = database;
  await sql`create table if not exists notes (id integer primary key, sealed blob not null,
    note_key_version integer not null, sealed_at integer not null) strict`.execute(query);

  interface Row {
    readonly id: number;
    readonly sealed: Uint8Array;
    readonly note_key_version: number;
  }
  const open = async ({ sealed, note_key_version }: Row): Promise<Buffer> => {
    const identities = [ring.identity(NOTES_KEY, note_key_version, { compromised: true })];
    return collect(decryptStream(streamOf(sealed), { identities }));
  };
  const move = async (rows: readonly Row[]): Promise<MoveResult> => {
    const failures: { item: string; reason: string }[] = [];
    const moved: { id: number; sealed: Buffer; version: number }[] = [];
    for (const row of rows) {
      const { version, recipient } = ring.recipient(NOTES_KEY);
      try {
        const text = await open(row);
        const sealed = await collect(encryptStream(streamOf(text), { recipients: [recipient] }));
        moved.push({ id: row.id, sealed, version });
      } catch (error) {
        failures.push({ item: `note ${row.id}`, reason: error instanceof Error ? error.message : 'unknown' });
      }
    }
    await database.write(async (transaction) => {
      for (const { id, sealed, version } of moved) {
        await sql`update notes set sealed = ${sealed}, note_key_version = ${version}, sealed_at = ${now()}
          where id = ${id}`.execute(transaction);
      }
      await beforeCommit();
    });
    return { moved: moved.length, failures };
  };

  return {
    name: 'notes',
    rewrapping: 'reseal',
    async usage() {
      const { rows } = await sql<KeyUsage>`select ${NOTES_KEY} as key, note_key_version as version,
        count(*) as items from notes group by note_key_version`.execute(query);
      return rows;
    },
    async rewrap(key, limit) {
      if (key !== NOTES_KEY) return { moved: 0, failures: [] };
      const active = ring.find(NOTES_KEY)?.versions.findLast(({ state }) => state === 'active')?.version ?? 0;
      const { rows } = await sql<Row>`select * from notes where note_key_version <> ${active}
        order by id limit ${Math.min(limit, batchMax)}`.execute(query);
      return rows.length === 0 ? { moved: 0, failures: [] } : move(rows);
    },
    async reencrypt(key, since, limit) {
      if (key !== NOTES_KEY) return { moved: 0, failures: [] };
      const { rows } = await sql<Row>`select * from notes where sealed_at < ${since}
        order by id limit ${Math.min(limit, batchMax)}`.execute(query);
      return rows.length === 0 ? { moved: 0, failures: [] } : move(rows);
    },
    async add(count) {
      for (let at = 0; at < count; at++) {
        const { version, recipient } = ring.recipient(NOTES_KEY);
        const text = streamOf(Buffer.from('note'));
        const sealed = await collect(encryptStream(text, { recipients: [recipient] }));
        await sql`insert into notes (sealed, note_key_version, sealed_at)
          values (${sealed}, ${version}, ${now()})`.execute(query);
      }
    },
    async readAll() {
      const { rows } = await sql<Row>`select * from notes order by id`.execute(query);
      return Promise.all(
        rows.map(async (row) => ({
          id: row.id,
          text: (await open(row)).toString(),
          version: row.note_key_version,
        })),
      );
    },
  };
}

/** Until someone kills the process. */
export async function forEver(): Promise<never> {
  for (;;) await setTimeout(60_000);
}
