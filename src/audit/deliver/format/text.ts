// C0, DEL and C1 drive terminals and end lines; bidi marks, separators and invisible characters deceive readers.
const UNPRINTABLE =
  // oxlint-disable-next-line no-control-regex -- they are what it looks for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;

/** `text` with everything that a terminal, a parser or a reader could trip over spelt as `\u001b`. */
export function visible(text: string): string {
  return text.toWellFormed().replace(UNPRINTABLE, escapeUnit);
}

/** One line of JSON that holds no unprintable character. */
export function lineOfJson(value: unknown): string {
  return JSON.stringify(value).replace(UNPRINTABLE, escapeUnit);
}

/** The same JSON in ASCII alone. */
export function toAsciiJson(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, escapeUnit);
}

/** At most `unitsMax` UTF-16 units, with an ellipsis in place of the rest; no half of a pair remains. */
export function cut(text: string, unitsMax: number): string {
  if (text.length <= unitsMax) return text;
  return `${text.slice(0, unitsMax - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** The object without members that are undefined. */
export function defined<T extends Readonly<Record<string, unknown>>>(
  object: T,
): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
