import type { Entry } from '../../entry.ts';
import { leafHex, type Level, levelOf, type LogEvent, messageOf, timeMs } from './event.ts';
import { defined, lineOfJson } from './text.ts';

const SEVERITY: Readonly<Record<Level, readonly [number: number, text: string]>> = {
  info: [9, 'INFO'],
  low: [13, 'WARN'],
  medium: [14, 'WARN2'],
  high: [17, 'ERROR'],
  critical: [21, 'FATAL'],
};

type Value = string | number | boolean | undefined;

/** One OTLP LogRecord (opentelemetry.proto.logs.v1) in the JSON mapping of protobuf: 64-bit integers are texts. */
export function formatOtlp(event: LogEvent): string {
  const { entry } = event;
  const [severityNumber, severityText] = SEVERITY[levelOf(entry)];
  const time = nanoseconds(timeMs(entry));
  return lineOfJson({
    timeUnixNano: time,
    observedTimeUnixNano: time,
    severityNumber,
    severityText,
    eventName: `modelkeep.${entry.action}`,
    body: { stringValue: messageOf(entry) },
    attributes: Object.entries(attributesOf(event, entry))
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ({ key, value: anyValue(value) })),
  });
}

/** `records` are texts that `formatOtlp` made: an ExportLogsServiceRequest. */
export function otlpRequest(
  records: readonly string[],
  { origin, version }: { origin: string; version: string },
): string {
  const resource = lineOfJson({
    attributes: [
      { key: 'service.name', value: { stringValue: 'modelkeep' } },
      { key: 'service.version', value: { stringValue: version } },
      { key: 'service.instance.id', value: { stringValue: origin } },
    ],
  });
  const scope = lineOfJson({ name: 'modelkeep.audit', version });
  return `{"resourceLogs":[{"resource":${resource},"scopeLogs":[{"scope":${scope},"logRecords":[${records.join(',')}]}]}]}`;
}

function attributesOf(event: LogEvent, entry: Entry): Readonly<Record<string, Value>> {
  const { principal, source, http, model, credential, detail = {} } = entry;
  return {
    'log.record.uid': event.key,
    'modelkeep.id': entry.id,
    'modelkeep.index': event.index,
    'modelkeep.leaf': leafHex(event),
    'modelkeep.phase': entry.phase,
    'modelkeep.of': entry.of,
    'modelkeep.request': entry.request,
    'modelkeep.action': entry.action,
    'modelkeep.resource': entry.resource,
    'modelkeep.permission': entry.permission,
    'modelkeep.decision': entry.decision,
    'modelkeep.reason': entry.reason,
    'modelkeep.principal.kind': principal.kind,
    'modelkeep.credential.kind': credential?.kind,
    'modelkeep.credential.id': credential?.id,
    'modelkeep.model.version': model?.version,
    'modelkeep.model.digest': model?.digest,
    'modelkeep.input': entry.input,
    'modelkeep.output': entry.output,
    'modelkeep.latency_us': entry.latencyUs,
    'user.id': principal.id,
    'user.name': principal.name,
    'source.address': source?.address,
    'source.port': source?.port,
    'http.request.method': http?.method,
    'http.route': http?.route,
    'http.response.status_code': http?.status,
    ...Object.fromEntries(Object.entries(detail).map(([name, value]) => [`modelkeep.detail.${name}`, value])),
  };
}

function anyValue(value: Value): Readonly<Record<string, unknown>> {
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  return defined(typeof value === 'boolean' ? { boolValue: value } : { stringValue: value?.toWellFormed() });
}

function nanoseconds(ms: number): string {
  return String(BigInt(ms) * 1_000_000n);
}
