/** Records and rows name the same members in two ways: `createdAt` in the code, `created_at` in the tables. */

type Snake<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Snake<Rest>}`
  : Name;

type Camel<Name extends string> = Name extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<Camel<Rest>>}`
  : Name;

/** A record as a row of its table. */
export type Columns<Item extends object> = {
  -readonly [Member in keyof Item & string as Snake<Member>]: Item[Member];
};

/** A row as a record of the code. */
export type Members<Row extends object> = {
  readonly [Column in keyof Row & string as Camel<Column>]: Row[Column];
};

/** The values are taken as they are: what the two hold differently, such as JSON, is put over it by the caller. */
export function toColumns<Item extends object>(item: Item): Columns<Item> {
  const columns = Object.entries(item).map(([member, value]) => [snake(member), value]);
  return Object.fromEntries(columns) as Columns<Item>;
}

/** The opposite of `toColumns`, for all rows of one answer: their columns are the same, and renamed once. */
export function toMembers<Row extends object>(rows: readonly Row[]): Members<Row>[] {
  const names = Object.keys(rows[0] ?? {}).map((column) => [column, camel(column)] as const);
  return rows.map((row) => {
    const record: Record<string, unknown> = {};
    for (const [column, member] of names) record[member] = row[column as keyof Row];
    return record as Members<Row>;
  });
}

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const camel = (name: string): string =>
  name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
