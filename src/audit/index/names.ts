import type { DatabaseSync } from 'node:sqlite';

/** Texts that are counted stand once in the index; elsewhere stands their number. */
export interface Names {
  /** The number of a text, a new one if it has none. Inside the transaction of the batch. */
  idOf(text: string): number;
  textOf(id: number): string;
  /** The highest number given out. None is taken back. */
  last(): number;
  /** A name given out in a transaction that was rolled back has no row. */
  forget(): void;
}

export const NAME_TABLES = `
  create table name (id integer primary key, text text not null unique) strict;
`;

const REMEMBERED_MAX = 50_000;

export function createNames(database: DatabaseSync): Names {
  const ids = new Map<string, number>();
  const find = database.prepare('select id from name where text = ?');
  const add = database.prepare('insert into name (text) values (?)');
  const read = database.prepare('select text from name where id = ?');
  const highest = database.prepare('select max(id) as last from name');
  return {
    idOf(text) {
      const known = ids.get(text);
      if (known !== undefined) return known;
      const id = Number(find.get(text)?.['id'] ?? add.run(text).lastInsertRowid);
      if (ids.size >= REMEMBERED_MAX) ids.clear();
      ids.set(text, id);
      return id;
    },
    textOf: (id) => String(read.get(id)?.['text']),
    last: () => Number(highest.get()?.['last'] ?? 0),
    forget: () => ids.clear(),
  };
}
