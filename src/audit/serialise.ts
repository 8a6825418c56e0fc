import type { Entry, EntryPrincipal } from './entry.ts';
import { auditProblems } from './problems.ts';

/** An entry is a length of two bytes in an entry bundle (C2SP tlog-tiles). */
export const ENTRY_BYTES_MAX = 65_535;

const TEXT_MAX = 512;
const DETAIL_TEXT_MAX = 4096;
const DETAIL_KEYS_MAX = 64;

type Writer = (value: unknown, path: string) => string | undefined;
type Fields<T> = { readonly [Key in keyof T]-?: Writer };

/**
 * The bytes of an entry, as text: one line of JSON, keys in the order of the table below, nothing that a terminal or a
 * log viewer would act on. Long texts are cut, then `detail`; never the decision. Throws `audit.entry_invalid` on an
 * unknown key or a wrong type.
 */
export function serialiseEntry(entry: Entry): string {
  const text = write(entry);
  if (fits(text)) return text;
  const short = write({ ...entry, detail: shorten(entry.detail ?? {}) });
  return fits(short) ? short : write({ ...entry, detail: { truncated: true } });
}

/** Reads stored bytes. Undefined for anything that `serialiseEntry` would not have written, byte for byte. */
export function parseEntry(bytes: Uint8Array): Entry | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = JSON.parse(text) as Entry;
    return write(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What pairs starts with ends, read without parsing: the keys in front have fixed lengths. */
export function phaseOf(bytes: Uint8Array): {
  readonly kind: Entry['phase'];
  readonly id: string;
  readonly of?: string;
} {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 160)).toString(
    'latin1',
  );
  const [, id = '', phase = 'single', of] = HEAD.exec(head) ?? [];
  return { kind: phase as Entry['phase'], id, ...(of !== undefined && { of }) };
}

const HEAD = /^\{"v":1,"id":"([^"]*)","time":"[^"]*","phase":"(single|start|end)"(?:,"of":"([^"]*)")?/;

function object<T>(fields: Fields<T>): Writer {
  const rows = Object.entries<Writer>(fields).map(([name, writer]) => ({
    name,
    writer,
    prefix: `"${name}":`,
  }));
  const known = new Set(Object.keys(fields));
  return (value, path) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw refuse(path, 'is not an object');
    for (const key of Object.keys(value)) {
      if (!known.has(key)) throw refuse(`${path}.${key}`, 'is not a field of an entry');
    }
    const members = value as Readonly<Record<string, unknown>>;
    let out = '{';
    for (const { name, writer, prefix } of rows) {
      const part = writer(members[name], `${path}.${name}`);
      if (part !== undefined) out += out === '{' ? prefix + part : `,${prefix}${part}`;
    }
    return `${out}}`;
  };
}

const optional =
  (writer: Writer): Writer =>
  (value, path) =>
    value === undefined ? undefined : writer(value, path);

const oneOf =
  (...values: readonly unknown[]): Writer =>
  (value, path) => {
    if (!values.includes(value)) throw refuse(path, `is not one of ${values.join(', ')}`);
    return JSON.stringify(value);
  };

const text: Writer = (value, path) => {
  if (typeof value !== 'string') throw refuse(path, 'is not a text');
  return quote(value, TEXT_MAX);
};

const natural: Writer = (value, path) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw refuse(path, 'is not a natural number');
  return String(value);
};

const detail: Writer = (value, path) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refuse(path, 'is not an object');
  const rows = Object.entries(value).filter(([, member]) => member !== undefined);
  if (rows.length > DETAIL_KEYS_MAX) throw refuse(path, `has more than ${DETAIL_KEYS_MAX} members`);
  const members = rows.map(([name, member]: [string, unknown]) => {
    if (typeof member === 'string') return `${quote(name, TEXT_MAX)}:${quote(member, DETAIL_TEXT_MAX)}`;
    const isPlain = typeof member === 'boolean' || (typeof member === 'number' && Number.isFinite(member));
    if (!isPlain) throw refuse(`${path}.${name}`, 'is not a text, a finite number or a boolean');
    return `${quote(name, TEXT_MAX)}:${JSON.stringify(member)}`;
  });
  return `{${members.join(',')}}`;
};

const ENTRY = object<Entry>({
  v: oneOf(1),
  id: text,
  time: text,
  phase: oneOf('single', 'start', 'end'),
  of: optional(text),
  request: optional(text),
  action: text,
  principal: object<EntryPrincipal>({
    kind: oneOf('user', 'service_account', 'local', 'anonymous', 'system'),
    id: optional(text),
    name: optional(text),
  }),
  credential: optional(object<NonNullable<Entry['credential']>>({ kind: text, id: text })),
  source: optional(object<NonNullable<Entry['source']>>({ address: text, port: natural })),
  http: optional(
    object<NonNullable<Entry['http']>>({ method: text, route: text, status: optional(natural) }),
  ),
  resource: optional(text),
  permission: optional(text),
  decision: oneOf('allow', 'deny', 'error'),
  reason: text,
  model: optional(object<NonNullable<Entry['model']>>({ version: text, digest: text })),
  input: optional(text),
  output: optional(text),
  detail: optional(detail),
  latencyUs: optional(natural),
});

const write = (entry: Entry): string => ENTRY(entry, 'entry') ?? '';

// JSON.stringify escapes C0 and lone surrogates. C1 and DEL drive terminals; bidi marks and separators deceive readers.
const UNPRINTABLE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;

function quote(value: string, unitsMax: number): string {
  const cut =
    value.length > unitsMax ? `${value.slice(0, unitsMax - 1).replace(/[\ud800-\udbff]$/, '')}…` : value;
  return JSON.stringify(cut).replace(
    UNPRINTABLE,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function fits(text: string): boolean {
  return text.length * 3 <= ENTRY_BYTES_MAX || Buffer.byteLength(text) <= ENTRY_BYTES_MAX;
}

function shorten(detail: NonNullable<Entry['detail']>): NonNullable<Entry['detail']> {
  const rows = Object.entries(detail)
    .slice(0, 16)
    .map(
      ([name, value]) => [name.slice(0, 64), typeof value === 'string' ? value.slice(0, 64) : value] as const,
    );
  return { ...Object.fromEntries(rows), truncated: true };
}

function refuse(path: string, why: string): Error {
  return auditProblems.entry_invalid(`${path} ${why}`);
}
