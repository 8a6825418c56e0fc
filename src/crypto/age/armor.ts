import { cryptoProblems } from '../problems.ts';
import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import type { Reader } from './reader.ts';

/** ASCII armor: strict PEM (RFC 7468, figure 3) under the label AGE ENCRYPTED FILE. */

const BEGIN = '-----BEGIN AGE ENCRYPTED FILE-----';
const END = '-----END AGE ENCRYPTED FILE-----';
const COLUMNS = 64;
const LINE_BYTES = 48;
/** White space tolerated before and after, as in the reference implementation. */
const MARGIN_MAX = 1024;
const WHITE_SPACE = /^[ \t\r\n]*$/;

/** Wraps a binary age file. Lines end with LF. */
export async function* armor(file: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${BEGIN}\n`);
  let held: Uint8Array = new Uint8Array(0);
  for await (const piece of file) {
    const bytes = held.length === 0 ? piece : Buffer.concat([held, piece]);
    const whole = bytes.length - (bytes.length % LINE_BYTES);
    held = Buffer.from(bytes.subarray(whole));
    if (whole > 0) yield Buffer.from(encodeBase64(bytes.subarray(0, whole)).replace(/.{64}/g, '$&\n'));
  }
  yield Buffer.from(`${held.length > 0 ? `${encodeBase64(held)}\n` : ''}${END}\n`);
}

/** Claims that what follows in the reader, after white space, starts as armor does. Consumes nothing. */
export async function looksArmored(reader: Reader): Promise<boolean> {
  let seen = '';
  const pieces: Uint8Array[] = [];
  while (WHITE_SPACE.test(seen) && seen.length <= MARGIN_MAX) {
    const piece = await reader.next();
    if (!piece) break;
    pieces.push(piece);
    seen += Buffer.from(piece.subarray(0, MARGIN_MAX)).toString('latin1');
  }
  for (const piece of pieces.toReversed()) reader.unread(piece);
  return /^[ \t\r\n]*-/.test(seen);
}

/** Unwraps armor to the binary age file. Throws `crypto.malformed_armor`. */
export async function* dearmor(text: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const parser = createParser();
  let unfinished = '';
  for await (const piece of text) {
    const lines = (unfinished + Buffer.from(piece).toString('latin1')).split('\n');
    unfinished = lines.pop() ?? '';
    // A line can be as long as the white space around the armor, but no longer.
    if (unfinished.length > MARGIN_MAX) throw cryptoProblems.malformed_armor('a line is too long');
    const bytes = parser.push(lines);
    if (bytes.length > 0) yield bytes;
  }
  const bytes = parser.push([unfinished]);
  if (bytes.length > 0) yield bytes;
  parser.end();
}

/** Takes lines without their LF, in any portions. */
function createParser(): { push(lines: readonly string[]): Uint8Array; end(): void } {
  let place: 'before' | 'body' | 'short line' | 'after' = 'before';
  let margin = 0;
  const skipMargin = (line: string): void => {
    margin += line.length + 1;
    if (!WHITE_SPACE.test(line)) throw cryptoProblems.malformed_armor('there is text outside the armor');
    if (margin > MARGIN_MAX)
      throw cryptoProblems.malformed_armor('there is too much white space outside the armor');
  };
  return {
    push(lines) {
      let body = '';
      for (const raw of lines) {
        const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
        if (place === 'before') {
          if (line.replace(/^[ \t]+/, '') === BEGIN) place = 'body';
          else skipMargin(raw);
        } else if (place === 'after') {
          skipMargin(raw);
        } else if (line === END) {
          place = 'after';
        } else {
          if (place === 'short line')
            throw cryptoProblems.malformed_armor('a line before the last is too short');
          if (line.length === 0) throw cryptoProblems.malformed_armor('there is an empty line');
          if (line.length > COLUMNS)
            throw cryptoProblems.malformed_armor(`a line is longer than ${COLUMNS} columns`);
          if (line.length < COLUMNS || line.endsWith('=')) place = 'short line';
          body += line;
        }
      }
      const bytes = parseBase64(body);
      if (!bytes) throw cryptoProblems.malformed_armor('a line is not canonical base64');
      return bytes;
    },
    end() {
      if (place === 'before') throw cryptoProblems.malformed_armor('there is no BEGIN line');
      if (place !== 'after') throw cryptoProblems.malformed_armor('there is no END line');
    },
  };
}
