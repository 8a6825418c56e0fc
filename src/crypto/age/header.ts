import { createHmac, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto';
import { cryptoProblems } from '../problems.ts';
import type { Reader } from './reader.ts';
import { encodeRawBase64, parseRawBase64, type Stanza } from './stanza.ts';

export interface Header {
  readonly stanzas: readonly Stanza[];
  readonly mac: Uint8Array;
  /** What the MAC covers: everything up to and including `---`. */
  readonly covered: Uint8Array;
}

const VERSION_LINE = 'age-encryption.org/v1';
const COLUMNS = 64;
/** Some 2,600 X25519 or 150 post-quantum recipients. Beyond it, the work that a hostile header asks for is no longer small. */
const HEADER_BYTES_MAX = 256 * 1024;
const NEWLINE = 0x0a;

/**
 * The textual header that carries `stanzas`, with its MAC, ready to be followed by the payload. Throws
 * `crypto.invalid_key` if there are so many that readers would refuse it.
 */
export function formatHeader(stanzas: readonly Stanza[], fileKey: Uint8Array): Uint8Array {
  const covered = `${VERSION_LINE}\n${stanzas.map(formatStanza).join('')}---`;
  const header = Buffer.from(`${covered} ${encodeRawBase64(headerMac(fileKey, Buffer.from(covered)))}\n`);
  if (header.length > HEADER_BYTES_MAX) {
    throw cryptoProblems.invalid_key(
      `${stanzas.length} recipients are too many: the header would exceed ${HEADER_BYTES_MAX} bytes`,
    );
  }
  return header;
}

/** Claims that the header was made by someone who knew the file key. */
export function isAuthentic(header: Header, fileKey: Uint8Array): boolean {
  return timingSafeEqual(headerMac(fileKey, header.covered), header.mac);
}

/**
 * Reads the header off the front of a stream and leaves the reader at the first byte of the payload. Refuses what is not
 * an age file at its first wrong byte, so that a large foreign file is not read into memory.
 */
export async function readHeader(reader: Reader): Promise<Uint8Array> {
  let header = Buffer.allocUnsafe(1024);
  let length = 0;
  let lineStart = 0;
  for (;;) {
    const piece = await reader.next();
    if (!piece) {
      if (length === 0) throw cryptoProblems.malformed_header('the file is empty');
      throw cryptoProblems.truncated('the file ends inside the header');
    }
    const taken = piece.subarray(0, HEADER_BYTES_MAX - length);
    if (length + taken.length > header.length) {
      const grown = Buffer.allocUnsafe(Math.max(header.length * 2, length + taken.length));
      header.copy(grown, 0, 0, length);
      header = grown;
    }
    header.set(taken, length);
    const before = length;
    length += taken.length;
    if (before < VERSION_LINE.length + 1) checkVersion(header.subarray(0, length));
    const seen = header.subarray(0, length);
    for (let end = seen.indexOf(NEWLINE, before); end >= 0; end = seen.indexOf(NEWLINE, lineStart)) {
      const line = header.toString('latin1', lineStart, Math.min(end, lineStart + 3));
      lineStart = end + 1;
      if (line !== '---') continue;
      reader.unread(piece.subarray(lineStart - before));
      return header.subarray(0, lineStart);
    }
    if (length >= HEADER_BYTES_MAX)
      throw cryptoProblems.malformed_header(`the header exceeds ${HEADER_BYTES_MAX} bytes`);
  }
}

/** Parses exactly one header, strictly as the ABNF of age v1 has it. Throws `crypto.malformed_header`. */
export function parseHeader(bytes: Uint8Array): Header {
  if (bytes.length > HEADER_BYTES_MAX)
    throw cryptoProblems.malformed_header(`the header exceeds ${HEADER_BYTES_MAX} bytes`);
  checkVersion(bytes);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const lines = text.split('\n').values();
  if (next(lines) !== VERSION_LINE)
    throw cryptoProblems.malformed_header('the header ends in its first line');
  const stanzas: Stanza[] = [];
  let line = next(lines);
  for (; line?.startsWith('->') === true; line = next(lines))
    stanzas.push(takeStanza(line, lines, stanzas.length + 1));
  if (stanzas.length === 0) throw cryptoProblems.malformed_header('the header has no recipient stanza');
  const mac = line?.startsWith('--- ') === true ? parseRawBase64(line.slice(4)) : undefined;
  if (line === undefined || mac?.length !== 32)
    throw cryptoProblems.malformed_header('the header has no well-formed MAC');
  if (next(lines) !== '') throw cryptoProblems.malformed_header('the header does not end with a line feed');
  if (next(lines) !== undefined) throw cryptoProblems.malformed_header('data follows the header');
  return { stanzas, mac, covered: bytes.subarray(0, bytes.length - (line.length - 3) - 1) };
}

/** Consumes the body of the stanza that `argumentLine` begins. */
function takeStanza(argumentLine: string, lines: Iterator<string>, number: number): Stanza {
  const malformed = (what: string) => cryptoProblems.malformed_header(`recipient stanza ${number}: ${what}`);
  const [arrow, type, ...args] = argumentLine.split(' ');
  if (arrow !== '->' || type === undefined || ![type, ...args].every((arg) => /^[\x21-\x7e]+$/.test(arg))) {
    throw malformed('the argument line is malformed');
  }
  let body = '';
  for (;;) {
    const line = next(lines);
    if (line === undefined) throw malformed('the body does not end');
    if (line.length > COLUMNS) throw malformed(`a body line is longer than ${COLUMNS} columns`);
    body += line;
    if (line.length < COLUMNS) break;
  }
  const bytes = parseRawBase64(body);
  if (!bytes) throw malformed('the body is not canonical base64');
  return { type, args, body: bytes };
}

function next(lines: Iterator<string>): string | undefined {
  const step = lines.next();
  return step.done === true ? undefined : step.value;
}

function formatStanza({ type, args, body }: Stanza): string {
  const text = encodeRawBase64(body);
  const lines: string[] = text.match(/.{1,64}/g) ?? [];
  // The body ends at the first short line, so a full last line is followed by an empty one.
  if (text.length % COLUMNS === 0) lines.push('');
  return `-> ${[type, ...args].join(' ')}\n${lines.join('\n')}\n`;
}

function headerMac(fileKey: Uint8Array, covered: Uint8Array): Buffer {
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', fileKey, new Uint8Array(0), 'header', 32)));
  return createHmac('sha256', key).update(covered).digest();
}

function checkVersion(start: Uint8Array): void {
  const expected = `${VERSION_LINE}\n`;
  const seen = Buffer.from(start.subarray(0, expected.length)).toString('latin1');
  if (expected.startsWith(seen)) return;
  if (/^age-encryption\.org\/[\x21-\x7e]/.test(seen)) {
    throw cryptoProblems.unsupported_version('the file declares another version than age-encryption.org/v1');
  }
  throw cryptoProblems.malformed_header('the data does not start as an age file does');
}
