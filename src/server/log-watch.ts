import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Registry } from 'prom-client';
import type { AuditLog } from '../audit/audit-log.ts';
import { createFileCursors } from '../audit/deliver/cursor-store.ts';
import { type Delivery, startDelivery } from '../audit/deliver/delivery.ts';
import { createDeliveryMetrics } from '../audit/deliver/metrics.ts';
import { createSink } from '../audit/deliver/sink/create-sink.ts';
import { readSettings } from '../audit/deliver/sink/read-settings.ts';
import { createDetector } from '../audit/detect/detector.ts';
import { createResponses, type Responses } from '../audit/detect/responses.ts';
import { defaultRules, readRules } from '../audit/detect/rules-file.ts';
import { createDetection, type Detection } from '../audit/detect/service.ts';
import { createStateFile } from '../audit/detect/state-file.ts';
import { createTags, type Tags } from '../audit/detect/tags.ts';
import type { EntrySource } from '../audit/entry-source.ts';
import { type AuditIndex, openAuditIndex } from '../audit/index/audit-index.ts';
import { privacyProblems } from '../audit/privacy/problems.ts';
import type { Retention } from '../audit/privacy/retention.ts';
import type { Config } from '../config/config.ts';
import type { SecretSource } from '../config/secret-source.ts';
import type { KeyRing } from '../crypto/ring/key-ring.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import type { KeepPaths } from './keep-directory.ts';

/** Purpose `mac`. Its first version stays in use: with another one, counts and the remembered state would not fit. */
const DETECTION_KEY = 'detection';
const RETENTION_MS = 86_400_000;

/** Everything that follows the log: the search index, the detections, the sinks, the retention policy. */
export interface LogWatch extends AsyncDisposable {
  readonly index: Pick<AuditIndex, 'search' | 'stats'>;
  readonly responses: Responses;
  readonly tags: Tags;
  readonly delivery: Pick<Delivery, 'status'>;
  /** Entries as who may read them sees them: with addresses, where their month was not erased. */
  readonly source: EntrySource;
  /** Begins to watch, deliver and delete: for a server, not for a command that opens the keep for a moment. */
  start(metrics: Registry, release: string): Promise<void>;
  /** A month can no longer be revealed: what was derived from its entries goes too. */
  forget(month: string): Promise<void>;
}

export interface LogWatchOptions {
  readonly audit: AuditLog;
  readonly origin: string;
  readonly paths: KeepPaths;
  readonly config: Config;
  readonly keyRing: KeyRing;
  readonly secrets: SecretSource;
  readonly retention: Retention;
  readonly clock: Clock;
  readonly log: Log;
}

export async function createLogWatch(options: LogWatchOptions): Promise<LogWatch> {
  const { audit, origin, paths, config, keyRing, secrets, clock, log } = options;
  await keyRing.ensure(DETECTION_KEY, 'mac');
  const { key } = keyRing.macKey(DETECTION_KEY, 1);
  const { enabled, rules: rulesFile } = config.audit.detection;
  const rules = rulesFile === undefined ? defaultRules() : await readRules(rulesFile);
  let detector = createDetector({ rules });
  const responses = createResponses({
    clock,
    isKnown: (principal, address, before) => detector.isKnown(principal, address, before),
  });
  const nothing = responses.save();
  const source: EntrySource = {
    size: () => audit.source.size(),
    read: async (from, limit) =>
      (await audit.source.read(from, limit)).map((indexed) => ({
        ...indexed,
        entry: audit.reveal(indexed.entry),
      })),
    onGrowth: (listener) => audit.source.onGrowth(listener),
  };

  let index: AuditIndex | undefined;
  let detection: Detection | undefined;
  let delivery: Delivery | undefined;
  let retentionTimer: NodeJS.Timeout | undefined;
  const openIndex = (): AuditIndex =>
    (index ??= openAuditIndex({
      file: paths.auditIndex,
      origin,
      source: audit.source,
      log,
      reveal: (entry) => audit.reveal(entry),
      mayWrite: () => audit.space() === 'ample',
    }));

  return {
    index: {
      search: (query) => openIndex().search(query),
      stats: (query) => openIndex().stats(query),
    },
    responses,
    tags: createTags(key),
    delivery: { status: () => delivery?.status() ?? [] },
    source,
    async start(metrics, release) {
      openIndex();
      await startDetection();
      delivery = startDelivery({
        source,
        sinks: config.audit.sinks.map((row) =>
          createSink(
            readSettings(row, {
              secret: (reference) => secrets.resolve(reference),
              file: (path) => readFileSync(path, 'utf8'),
            }),
            { clock, version: release, hostname: hostname(), processId: process.pid },
          ),
        ),
        cursors: createFileCursors(paths.delivery),
        origin,
        checkpoint: () => audit.checkpoint(),
        append: (draft) => audit.append(draft),
        clock,
        log,
        metrics: createDeliveryMetrics(metrics),
        tuning: config.audit.delivery,
      });
      retentionTimer = setInterval(() => void applyRetention(), RETENTION_MS).unref();
      await applyRetention();
    },
    async forget(month) {
      const wasRunning = detection !== undefined;
      await detection?.stop();
      detection = undefined;
      await rm(paths.detection, { force: true });
      // Alerts name addresses. What still holds comes back from the log.
      responses.load(nothing);
      if (wasRunning) await startDetection();
      if (index !== undefined || existsSync(paths.auditIndex)) await openIndex().forget(month);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(retentionTimer);
      await delivery?.close();
      await detection?.stop();
      await index?.close();
    },
  };

  async function startDetection(): Promise<void> {
    if (!enabled) return;
    // A new one each time: what it learned from a month that is erased must go.
    detector = createDetector({ rules });
    detection = createDetection({
      source: audit.source,
      origin,
      append: (draft) => audit.append(draft),
      detector,
      responses,
      state: createStateFile(paths.detection, key),
      log,
      reveal: (entry) => audit.reveal(entry),
    });
    await detection.start();
  }

  async function applyRetention(): Promise<void> {
    try {
      await options.retention.apply();
    } catch (error) {
      if (isProblem(error, privacyProblems.held)) return;
      log.error('audit.retention_failed', { error: error instanceof Error ? error : String(error) });
    }
  }
}
