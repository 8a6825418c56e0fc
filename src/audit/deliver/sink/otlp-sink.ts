import type { Secret } from '../../../kernel/secret.ts';
import { formatOtlp, otlpRequest } from '../format/otlp.ts';
import { createHttpPost } from './http-post.ts';
import { LIMITS, type Sink } from './sink.ts';

export interface OtlpSettings {
  readonly kind: 'otlp';
  readonly name: string;
  /** With its path: `https://collector:4318/v1/logs`. */
  readonly url: string;
  /** Value of the `authorization` header. */
  readonly authorization?: Secret<string> | undefined;
  readonly ca?: string | undefined;
}

/** OTLP/HTTP with JSON (OpenTelemetry protocol 1.x). */
export function createOtlpSink(settings: OtlpSettings, { version }: { version: string }): Sink {
  const { name, kind, url, ca, authorization } = settings;
  const http = createHttpPost({ url, ca });
  return {
    name,
    kind,
    limits: LIMITS,
    render: formatOtlp,
    async send({ origin, items }, signal) {
      const headers = {
        'content-type': 'application/json',
        ...(authorization !== undefined && { authorization: authorization.reveal() }),
      };
      const records = items.map(({ text }) => text);
      const answer = await http.post(otlpRequest(records, { origin, version }), headers, signal);
      // A partial success is not to be sent again (OTLP specification, "Partial Success").
      return rejectedRecords(answer);
    },
    close: async () => http.close(),
  };
}

/** Zero for anything that is not a partial success: a collector may answer with an empty body. */
function rejectedRecords(answer: string): number {
  try {
    const { partialSuccess } = JSON.parse(answer) as {
      partialSuccess?: { rejectedLogRecords?: string | number };
    };
    return Number(partialSuccess?.rejectedLogRecords ?? 0) || 0;
  } catch {
    return 0;
  }
}
