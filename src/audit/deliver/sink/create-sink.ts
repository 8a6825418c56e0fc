import type { Clock } from '../../../kernel/clock.ts';
import { createFileSink, type FileSettings } from './file-sink.ts';
import { createOtlpSink, type OtlpSettings } from './otlp-sink.ts';
import type { Sink } from './sink.ts';
import { createSplunkSink, type SplunkSettings } from './splunk-sink.ts';
import { createSyslogSink, type SyslogSettings } from './syslog-sink.ts';
import { createWebhookSink, type WebhookSettings } from './webhook-sink.ts';

/** One row of `audit.sinks`, with its secrets and certificates read. */
export type SinkSettings = WebhookSettings | SyslogSettings | OtlpSettings | SplunkSettings | FileSettings;

export interface SinkSurroundings {
  readonly clock: Clock;
  /** Modelkeep's own. */
  readonly version: string;
  /** Of this machine, for syslog. */
  readonly hostname: string;
  readonly processId: number;
}

/** Throws a TypeError on settings that are not allowed: a URL in plain HTTP beyond this machine, a short secret. */
export function createSink(settings: SinkSettings, surroundings: SinkSurroundings): Sink {
  switch (settings.kind) {
    case 'webhook':
      return createWebhookSink(settings, surroundings);
    case 'syslog':
      return createSyslogSink(settings, surroundings);
    case 'otlp':
      return createOtlpSink(settings, surroundings);
    case 'splunk':
      return createSplunkSink(settings, surroundings);
    case 'file':
    default:
      return createFileSink(settings, surroundings);
  }
}
