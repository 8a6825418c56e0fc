import type { Entry, EntryOrigin, EntryPrincipal } from './entry.ts';
import { auditProblems } from './problems.ts';

/** An entry is a length of two bytes in an entry bundle (C2SP tlog-tiles). */
export const ENTRY_BYTES_MAX = 65_535;

/** Stands where the end of a text was cut off. */
const CUT = '…';
/** Stands in a detail that was shortened. */
const TRUNCATED = '"truncated":true';

const TEXT_MAX = 512;
const DETAIL_TEXT_MAX = 4096;
const DETAIL_KEYS_MAX = 64;

/** Undefined if the member is absent. Throws a `Misfit`. */
type Writer = (value: unknown) => string | undefined;
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

/** False if `serialiseEntry` wrote all of its entry: then parsing the text gives the same entry again. */
export function mayBeCut(text: string): boolean {
  return text.includes(CUT) || text.includes(TRUNCATED);
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

/** What is wrong with a value, and where: the path grows on the way out, so that good values pay nothing for it. */
class Misfit extends Error {
  path = '';
}

function object<T>(fields: Fields<T>): Writer {
  const rows = Object.entries<Writer>(fields).map(([name, writer]) => ({
    name,
    writer,
    prefix: `"${name}":`,
  }));
  const known = new Set(Object.keys(fields));
  return (value) => {
    if (!isObject(value)) throw new Misfit('is not an object');
    let out = '';
    let name = '';
    try {
      for (name of Object.keys(value)) if (!known.has(name)) throw new Misfit('is not a field of an entry');
      for (const row of rows) {
        name = row.name;
        const part = row.writer(value[name]);
        if (part !== undefined) out += out === '' ? row.prefix + part : `,${row.prefix}${part}`;
      }
    } catch (error) {
      throw at(name, error);
    }
    return `{${out}}`;
  };
}

const optional =
  (writer: Writer): Writer =>
  (value) =>
    value === undefined ? undefined : writer(value);

const oneOf = (...values: readonly unknown[]): Writer => {
  const texts = new Map(values.map((value) => [value, JSON.stringify(value)]));
  return (value) => {
    const written = texts.get(value);
    if (written === undefined) throw new Misfit(`is not one of ${values.join(', ')}`);
    return written;
  };
};

const text: Writer = (value) => {
  if (typeof value !== 'string') throw new Misfit('is not a text');
  return quote(value, TEXT_MAX);
};

const natural: Writer = (value) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new Misfit('is not a natural number');
  return String(value);
};

const detail: Writer = (value) => {
  if (!isObject(value)) throw new Misfit('is not an object');
  const rows = Object.entries(value).filter(([, member]) => member !== undefined);
  if (rows.length > DETAIL_KEYS_MAX) throw new Misfit(`has more than ${DETAIL_KEYS_MAX} members`);
  const members = rows.map(([name, member]) => {
    if (typeof member === 'string') return `${quote(name, TEXT_MAX)}:${quote(member, DETAIL_TEXT_MAX)}`;
    const isPlain = typeof member === 'boolean' || (typeof member === 'number' && Number.isFinite(member));
    if (!isPlain) throw at(name, new Misfit('is not a text, a finite number or a boolean'));
    return `${quote(name, TEXT_MAX)}:${JSON.stringify(member)}`;
  });
  return `{${members.join(',')}}`;
};

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function at(name: string, error: unknown): unknown {
  if (error instanceof Misfit) error.path = `.${name}${error.path}`;
  return error;
}

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
  source: optional(
    object<Omit<EntryOrigin, 'agent'>>({ address: text, port: natural, client: optional(text) }),
  ),
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

function write(entry: Entry): string {
  try {
    return ENTRY(entry) ?? '';
  } catch (error) {
    throw error instanceof Misfit
      ? auditProblems.entry_invalid(`entry${error.path} ${error.message}`)
      : error;
  }
}

// What JSON writes as it is: nearly every text is only this.
const PLAIN = /^[ !#-[\]-~]*$/;
// JSON.stringify escapes C0 and lone surrogates. C1 and DEL drive terminals; bidi marks and separators deceive readers.
const UNPRINTABLE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;

function quote(value: string, unitsMax: number): string {
  if (value.length <= unitsMax && PLAIN.test(value)) return `"${value}"`;
  const cut =
    value.length > unitsMax ? `${value.slice(0, unitsMax - 1).replace(/[\ud800-\udbff]$/, '')}${CUT}` : value;
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
