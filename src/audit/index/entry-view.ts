import { z } from 'zod';
import { encodeBase64 } from '../../kernel/base64.ts';
import type { IndexedEntry } from '../audit-log.ts';

const principal = z.object({ kind: z.string(), id: z.string().optional(), name: z.string().optional() });
const entry = z.object({
  v: z.literal(1),
  id: z.string(),
  time: z.string(),
  phase: z.enum(['single', 'start', 'end']),
  of: z.string().optional().describe('for an end: the id of its start'),
  request: z.string().optional(),
  action: z.string(),
  principal,
  credential: z.object({ kind: z.string(), id: z.string() }).optional(),
  source: z
    .object({
      address: z.string().describe('or, where its month was erased, the sealed form'),
      port: z.number(),
      agent: z.string().optional(),
      client: z.string().optional(),
    })
    .optional(),
  http: z.object({ method: z.string(), route: z.string(), status: z.number().optional() }).optional(),
  resource: z.string().optional(),
  permission: z.string().optional(),
  decision: z.enum(['allow', 'deny', 'error']),
  reason: z.string(),
  model: z.object({ version: z.string(), digest: z.string() }).optional(),
  input: z
    .string()
    .optional()
    .describe('SHA-256 of a nonce and the bytes received, hex; the caller has the nonce'),
  output: z.string().optional().describe('SHA-256 of a nonce and the bytes sent, hex'),
  detail: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  latencyUs: z.number().optional(),
});

/** An entry and its place, as the API answers it. */
export const indexedEntry = z.object({
  index: z.number(),
  leaf: z.string().describe('RFC 6962 leaf hash, base64'),
  entry,
});

export const entryPage = z.object({
  entries: z.array(indexedEntry),
  before: z.number().optional().describe('ask again with this to go on; absent at the start of the log'),
});

export function viewEntry({ index, leaf, entry }: IndexedEntry): Readonly<Record<string, unknown>> {
  return { index, leaf: encodeBase64(leaf), entry };
}
