import { z } from 'zod';
import type { Call, Guard, Route, ScopeOf } from '../../http/route.ts';
import type { Caller } from '../../kernel/principal.ts';
import type { AuditLog } from '../audit-log.ts';
import type { EntryPrincipal } from '../entry.ts';
import { auditProblems } from '../problems.ts';
import { parseEntry } from '../serialise.ts';
import type { TileLevel } from '../tile.ts';
import { receiptProblems } from './problems.ts';
import { parseReceipt } from './receipt.ts';
import type { Receipts } from './receipts.ts';
import { parseTilePath, readTileExactly } from './tile-path.ts';

export interface ReceiptRouteOptions {
  readonly receipts: Receipts;
  readonly audit: Pick<AuditLog, 'size' | 'first'>;
  /** `log/` of the keep. */
  readonly directory: string;
  /** Checkpoint and hash tiles for everyone: they say how large the log is and when it grows, and nothing of entries. */
  readonly publicTree: boolean;
}

type ReceiptPermission = 'audit.read' | 'audit.verify';

const log: ScopeOf = () => '/audit';
const text = 'text/plain; charset=utf-8';
const bytes = 'application/octet-stream';
const STATIC = { none: 'a file of the log, the same for everyone; requests are counted' } as const;
/** `x001/x234/067.p/8`: a log of 2^38 entries has no longer paths. */
const TAILS = ['{a}', '{a}/{b}', '{a}/{b}/{c}', '{a}/{b}/{c}/{d}'];

/** Receipts, and the files of the log as C2SP tlog-tiles has them. */
export function createReceiptRoutes(options: ReceiptRouteOptions): readonly Route<ReceiptPermission>[] {
  const { receipts, directory, publicTree } = options;
  const common = { method: 'GET', tag: 'log' } as const;
  const tree: Pick<Route<ReceiptPermission>, 'guard' | 'audit'> = {
    guard: publicTree
      ? { public: 'whoever checks the log must not need its permission' }
      : ({ permission: 'audit.verify', scope: log } satisfies Guard<ReceiptPermission>),
    audit: STATIC,
  };
  const cache = (age: string): string => `${publicTree ? 'public' : 'private'}, ${age}`;

  async function tile(call: Call, level: TileLevel, tail: string): Promise<Uint8Array> {
    const parts = tail.match(/\w+/g) ?? [];
    const place = parseTilePath(level, parts.map((name) => call.params[name] ?? '').join('/'));
    const found = place && (await readTileExactly(directory, place));
    if (found === undefined) throw receiptProblems.tile_not_found('There is no tile at this path.');
    return found;
  }

  return [
    {
      ...common,
      path: '/log/receipts/{index}',
      guard: { authenticated: 'its own attempts; those of others with audit.read' },
      audit: 'audit.receipt',
      summary: 'The receipt of an entry: a C2SP tlog-proof that can be checked offline',
      request: {
        params: z.object({ index: z.string().regex(/^(0|[1-9][0-9]{0,14})$/) }),
        query: z.strictObject({
          wait: z.literal('1').optional().describe('wait until a checkpoint covers the entry'),
        }),
      },
      problems: [auditProblems.not_found, receiptProblems.receipt_pending],
      async handle(call) {
        const index = Number(call.params['index']);
        if (index >= options.audit.size()) throw auditProblems.not_found(`there is no entry ${index}`);
        if (index < options.audit.first())
          throw auditProblems.not_found(`entry ${index} was deleted by the retention policy`);
        const receipt = await (call.query['wait'] === '1'
          ? untilAborted(call.signal, receipts.full(index))
          : receipts.read(index));
        if (!isOwn(call.caller, parseReceipt(receipt).entry)) call.require('audit.read', '/audit');
        call.note({ detail: { index } });
        return { headers: { 'content-type': text }, body: receipt };
      },
    },
    {
      ...common,
      ...tree,
      path: '/log/checkpoint',
      summary: 'The newest published checkpoint',
      handle: async () => ({
        headers: { 'content-type': text, 'cache-control': cache('max-age=1') },
        body: await receipts.checkpoint(),
      }),
    },
    ...TAILS.map(
      (tail): Route<ReceiptPermission> => ({
        ...common,
        ...tree,
        path: `/log/tile/{level}/${tail}`,
        summary: 'A tile of hashes',
        problems: [receiptProblems.tile_not_found],
        async handle(call) {
          const level = /^(0|[1-9][0-9]?)$/.test(call.params['level'] ?? '')
            ? Number(call.params['level'])
            : 64;
          const headers = { 'content-type': bytes, 'cache-control': cache('max-age=31536000, immutable') };
          return { headers, body: await tile(call, level, tail) };
        },
      }),
    ),
    ...TAILS.map(
      (tail): Route<ReceiptPermission> => ({
        ...common,
        path: `/log/tile/entries/${tail}`,
        guard: { permission: 'audit.read', scope: log },
        audit: 'audit.read',
        summary: 'A bundle of entries',
        problems: [receiptProblems.tile_not_found],
        handle: async (call) => ({
          headers: { 'content-type': bytes },
          body: await tile(call, 'entries', tail),
        }),
      }),
    ),
  ];
}

/**
 * Claims that the caller made the attempt. An anonymous attempt in its name is not its own; a credential with limits of
 * its own sees what was done with that credential.
 */
function isOwn({ principal, credential }: Caller, bytes: Uint8Array): boolean {
  const entry = parseEntry(bytes);
  const who: EntryPrincipal | undefined = entry?.principal;
  if (who?.kind !== principal.kind || who.id !== principal.id) return false;
  return credential.scopes === undefined || entry?.credential?.id === credential.id;
}

/** The receipt, unless the client leaves or the server's deadline for an answer passes before. */
async function untilAborted(signal: AbortSignal, receipt: Promise<string>): Promise<string> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = (): void =>
    reject(
      receiptProblems.receipt_pending('No checkpoint covered the entry in time.', {
        headers: { 'retry-after': '1' },
      }),
    );
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([receipt, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
