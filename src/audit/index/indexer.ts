import { setImmediate } from 'node:timers/promises';
import { encodeBase64 } from '../../kernel/base64.ts';
import { auditProblems } from '../problems.ts';
import type { AuditIndexOptions, IndexTuning } from './audit-index.ts';
import { IndexFailure, type IndexThread, startIndexThread } from './index-thread.ts';
import { removeIndex } from './store.ts';
import type { FindRequest, Found, Stats, StatsQuery } from './protocol.ts';
import type { Reveal } from './query.ts';

/** A cursor over the log that leads the index after it. */
export interface Indexer {
  /** Entries below this are indexed. 0 while the index is not open. */
  applied(): number;
  failures(): number;
  /** Indexes what is durable at the call. Rejects if a batch fails. */
  catchUp(): Promise<void>;
  /** Undefined if the index cannot tell: `applied` has changed, or the index has failed. */
  find(request: FindRequest): Promise<Found | undefined>;
  /** Rejects with `audit.unavailable` if there is no index. */
  stats(query: StatsQuery): Promise<Stats>;
  /** Throws the index away; a new one is made in the background. */
  rebuild(): Promise<void>;
  close(): Promise<void>;
}

/** Read in one piece on the thread that serves: a few milliseconds. */
const READ = 256;

export function createIndexer({
  file,
  origin,
  source,
  log,
  reveal,
  mayWrite = () => true,
  tuning,
}: AuditIndexOptions & { readonly reveal: Reveal; readonly tuning: IndexTuning }): Indexer {
  let thread: Promise<IndexThread> | undefined;
  let applied = 0;
  let failures = 0;
  let isClosed = false;
  /** Moves on with each rebuild: entries opened before it must not reach the index after it. */
  let generation = 0;
  let resetting: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  const stopListening = source.onGrowth(() => schedule(tuning.delayMs));
  if (source.size() > 0) schedule(tuning.delayMs);

  return {
    applied: () => applied,
    failures: () => failures,
    catchUp: () => reach(source.size()),
    async find(request) {
      try {
        const { found } = await (await openThread()).ask({ kind: 'find', find: request }, 'found');
        return applied >= request.end ? found : undefined;
      } catch (error) {
        failed(error);
        return undefined;
      }
    },
    async stats(query) {
      try {
        return (await (await openThread()).ask({ kind: 'stats', stats: query }, 'stats')).stats;
      } catch (error) {
        failed(error);
        throw auditProblems.unavailable('The search index of the audit log cannot be read.', {
          cause: error,
        });
      }
    },
    async rebuild() {
      generation++;
      applied = 0;
      const reset = throwAway(running);
      resetting = reset;
      await reset;
      schedule(0);
    },
    async close() {
      if (isClosed) return;
      isClosed = true;
      stopListening();
      clearTimeout(timer);
      await running?.catch(() => {});
      await (await thread?.catch(() => undefined))?.close();
    },
  };

  async function reach(size: number): Promise<void> {
    const before = applied;
    if (before >= size || isClosed) return;
    await run();
    // The run in hand may have ended before the last entries were durable.
    if (applied > before) await reach(size);
  }

  function schedule(ms: number): void {
    if (isClosed || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      run().catch(() => schedule(tuning.retryMs));
    }, ms).unref();
  }

  function run(): Promise<void> {
    running ??= advance().finally(() => {
      running = undefined;
    });
    return running;
  }

  async function throwAway(inHand: Promise<void> | undefined): Promise<void> {
    await inHand?.catch(() => {});
    const opened = await openThread().catch(() => undefined);
    if (opened === undefined) removeIndex(file);
    else await opened.ask({ kind: 'reset' }, 'applied');
    applied = 0;
  }

  async function advance(): Promise<void> {
    try {
      await resetting;
      const opened = await openThread();
      const begun = generation;
      const goesOn = (): boolean => !isClosed && generation === begun;
      while (applied < source.size() && goesOn()) {
        if (!mayWrite()) throw new IndexFailure('the disk is too full to index entries');
        const batch = await gather(applied);
        if (batch === undefined || !goesOn()) return;
        const answer = await opened.ask({ kind: 'apply', ...batch }, 'applied');
        applied = answer.applied;
      }
    } catch (error) {
      failed(error);
      throw error;
    }
  }

  /** The next entries, opened, as texts; undefined if the log cannot be read so far. */
  async function gather(
    from: number,
  ): Promise<{ readonly from: number; readonly json: readonly string[]; readonly leaf: string } | undefined> {
    const json: string[] = [];
    let leaf: Uint8Array | undefined;
    const end = Math.min(source.size(), from + tuning.batch);
    for (let next = from; next < end; ) {
      const rows = await source.read(next, Math.min(READ, end - next));
      if (rows.length === 0) break;
      json.push(JSON.stringify(rows.map(({ entry }) => reveal(entry))));
      leaf = rows.at(-1)?.leaf;
      next += rows.length;
      // Requests first.
      if (next < end) await setImmediate();
    }
    return leaf === undefined ? undefined : { from, json, leaf: encodeBase64(leaf) };
  }

  function openThread(): Promise<IndexThread> {
    if (isClosed) return Promise.reject(new IndexFailure('the search index is closed'));
    thread ??= startThread();
    return thread;
  }

  async function startThread(): Promise<IndexThread> {
    const started = await startIndexThread({ file, origin });
    const { opened } = started;
    const reason = opened.discarded ?? (await mismatch(opened));
    if (reason !== undefined) log.warn('audit.index_rebuilt', { reason, entries: source.size() });
    if (reason !== undefined && opened.discarded === undefined)
      applied = (await started.ask({ kind: 'reset' }, 'applied')).applied;
    else applied = opened.applied;
    return started;
  }

  /** Why the index is not of this log, if it is not: its last entry must be the log's at that place. */
  async function mismatch({
    applied: size,
    leaf,
  }: {
    applied: number;
    leaf: string;
  }): Promise<string | undefined> {
    if (size === 0) return undefined;
    if (size > source.size()) return `it holds ${size} entries and the log ${source.size()}`;
    const [last] = await source.read(size - 1, 1);
    return last !== undefined && encodeBase64(last.leaf) === leaf
      ? undefined
      : `its entry ${size - 1} is not the log's`;
  }

  /** The log goes on without the index: searches read it instead. */
  function failed(error: unknown): void {
    if (isClosed) return;
    failures++;
    log.error('audit.index_failed', { error: error as Error });
    if (error instanceof IndexFailure && error.isCorrupt) {
      log.warn('audit.index_rebuilt', { reason: error.message, entries: source.size() });
      applied = 0;
      schedule(0);
      return;
    }
    void checkThread(thread);
  }

  /** One that has stopped, or never began, is started again after a while. */
  async function checkThread(started: typeof thread): Promise<void> {
    const opened = await started?.catch(() => undefined);
    if (opened?.isAlive() === true || thread !== started) return;
    thread = undefined;
    applied = 0;
    schedule(tuning.retryMs);
  }
}
