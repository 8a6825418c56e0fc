import { stripVTControlCharacters } from 'node:util';

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string | number | boolean | null | undefined;
  readonly align?: 'left' | 'right';
  /** May be cut, with `…`, when the terminal is too narrow. Ids are not: half an id is of no use. */
  readonly shrink?: boolean;
}

const GAP = '  ';
const SHRUNK_MIN = 8;

/**
 * Aligned columns with a head. `width` is the terminal's; undefined (a pipe, a file) cuts nothing. Line ends carry no
 * white space. Control characters in values, which might come from a stranger's input, are not printed.
 */
export function renderTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number | undefined,
): string {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((c) => cellOf(c.value(row)))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => widthOf(line[index] ?? ''))));
  if (width !== undefined) shrink(columns, widths, width);
  return cells
    .map((line) =>
      line
        .map((cell, index) => fit(cell, widths[index] ?? 0, columns[index]?.align ?? 'left'))
        .join(GAP)
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** `name   value` lines for one thing. */
export function renderFacts(
  facts: readonly (readonly [string, string | number | boolean | null | undefined])[],
): string {
  const width = Math.max(...facts.map(([name]) => name.length));
  return facts
    .map(([name, value]) => `${name.padEnd(width)}  ${cellOf(value)}`.trimEnd().concat('\n'))
    .join('');
}

/** Milliseconds since 1970 or an ISO text as ISO 8601, UTC, whole seconds; `-` when there is none. */
export function renderTime(time: number | string | null | undefined): string {
  if (time === null || time === undefined) return '-';
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : `${date.toISOString().slice(0, 19)}Z`;
}

/** `1.4 MiB` */
export function renderBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Text from elsewhere, safe to print on a terminal: no escape sequence, no line break, no bidirectional override. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');
}

function cellOf(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return printable(String(value));
}

function shrink<Row>(columns: readonly Column<Row>[], widths: number[], width: number): void {
  let over = widths.reduce((sum, each) => sum + each, 0) + GAP.length * (columns.length - 1) - width;
  while (over > 0) {
    const widest = columns
      .map((column, index) => (column.shrink === true ? index : -1))
      .filter((index) => index >= 0 && (widths[index] ?? 0) > SHRUNK_MIN)
      .toSorted((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))[0];
    if (widest === undefined) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over--;
  }
}

function fit(cell: string, width: number, align: 'left' | 'right'): string {
  const actual = widthOf(cell);
  if (actual > width) {
    let cut = '';
    for (const { segment } of graphemes.segment(cell)) {
      if (widthOf(cut + segment) > width - 1) break;
      cut += segment;
    }
    return `${cut}…${' '.repeat(Math.max(0, width - 1 - widthOf(cut)))}`;
  }
  const space = ' '.repeat(width - actual);
  return align === 'right' ? space + cell : cell + space;
}

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });
const WIDE =
  /\p{Script=Han}|\p{Script=Hiragana}|\p{Script=Katakana}|\p{Script=Hangul}|\p{Emoji_Presentation}/u;

/** Columns on a terminal: wide characters take two. */
function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of graphemes.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}
