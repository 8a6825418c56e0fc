import type { Secret } from '../../../kernel/secret.ts';
import { createFormat, type FormatName } from '../format/format.ts';
import { formatSplunk } from '../format/splunk.ts';
import { createHttpPost } from './http-post.ts';
import { LIMITS, type Sink } from './sink.ts';

export interface SplunkSettings {
  readonly kind: 'splunk';
  readonly name: string;
  /** With its path: `https://splunk:8088/services/collector/event`. */
  readonly url: string;
  readonly token: Secret<string>;
  readonly format: FormatName;
  /** Splunk's index; absent: the token's. */
  readonly index?: string | undefined;
  readonly ca?: string | undefined;
}

/** Splunk's HTTP Event Collector. */
export function createSplunkSink(settings: SplunkSettings, { version }: { version: string }): Sink {
  const { name, kind, url, ca, token, format, index } = settings;
  const http = createHttpPost({ url, ca });
  const render = createFormat(format, version);
  return {
    name,
    kind,
    limits: LIMITS,
    render: (event) => formatSplunk(event, render, { format, index }),
    async send({ items }, signal) {
      const headers = { 'content-type': 'application/json', authorization: `Splunk ${token.reveal()}` };
      await http.post(items.map(({ text }) => text).join(''), headers, signal);
      return 0;
    },
    close: async () => http.close(),
  };
}
