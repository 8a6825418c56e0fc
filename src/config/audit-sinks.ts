import { z } from 'zod';
import { isLoopback } from './loopback.ts';

/** The list `audit.sinks`: where the audit log is sent. */

/** Absolute, as a list has no place that a relative one could start from. */
const reference = z
  .string()
  .regex(/^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:\/[^\n\0]*)$/, 'expected env:NAME or file:/path');
const path = z.string().regex(/^\/[^\n\0]*$/, 'expected an absolute path');
const name = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/, 'expected lower-case letters, digits, - and _')
  .describe('Names the sink in metrics, in the log and in its cursor file.');
const url = z
  .string()
  .regex(/^https?:\/\/[^\s/?#@]+(?:\/[^\s#]*)?$/, 'expected https://host/path, without credentials')
  .refine(isGuarded, 'expected https, or http to this machine')
  .describe('`https:`, or `http:` to this machine. Redirects are not followed.');
const caFile = path.optional().describe('Certificates to trust instead of the public ones. PEM.');
const format = (default_: 'ocsf' | 'cef') =>
  z.enum(['json', 'ocsf', 'ecs', 'cef']).default(default_).describe('Of each event.');

const sink = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('webhook'),
    name,
    url,
    secret: reference.describe('Key of the signature, at least 16 characters.'),
    format: format('ocsf'),
    caFile,
  }),
  z.strictObject({
    kind: z.literal('syslog'),
    name,
    host: z.string().regex(/^[A-Za-z0-9_.:-]{1,253}$/, 'expected a host name or an address'),
    port: z.int().min(1).max(65_535).default(6514),
    format: format('cef'),
    caFile,
    certificateFile: path.optional().describe('Client certificate. PEM.'),
    key: reference.optional().describe('Its private key. PEM.'),
  }),
  z.strictObject({
    kind: z.literal('otlp'),
    name,
    url,
    authorization: reference.optional().describe('Value of the `authorization` header.'),
    caFile,
  }),
  z.strictObject({
    kind: z.literal('splunk'),
    name,
    url,
    token: reference.describe('Token of the HTTP Event Collector.'),
    format: format('ocsf'),
    index: z
      .string()
      .regex(/^[a-z0-9_][a-z0-9_-]{0,79}$/, 'expected the name of an index')
      .optional()
      .describe('Absent: the index of the token.'),
    caFile,
  }),
  z.strictObject({
    kind: z.literal('file'),
    name,
    path: path.describe('Of the file that grows; its directory exists.'),
    format: format('ocsf'),
    rotateBytes: z
      .int()
      .min(1024)
      .max(2 ** 40)
      .default(100 * 1024 ** 2)
      .describe('A larger file is put aside, bytes.'),
    keepFiles: z.int().min(1).max(1000).default(10).describe('So many files put aside are kept.'),
  }),
]);

export const sinksSchema = z
  .array(sink)
  .max(16)
  .refine((rows) => new Set(rows.map((row) => row.name)).size === rows.length, 'expected a name once only')
  .default([])
  .describe(
    'Where the audit log is sent: a list of `webhook`, `syslog`, `otlp`, `splunk` and `file`; in the file only. See docs/how-to/send-the-log-to-a-siem.md.',
  );

function isGuarded(text: string): boolean {
  if (text.startsWith('https:')) return true;
  return URL.canParse(text) && isLoopback(new URL(text).hostname.replace(/^\[|\]$/g, ''));
}
