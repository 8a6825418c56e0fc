import { type LogEvent, timeMs } from './event.ts';
import type { Format, FormatName } from './format.ts';
import { defined, lineOfJson } from './text.ts';

export interface SplunkOptions {
  readonly format: FormatName;
  readonly index?: string | undefined;
}

/** One event of Splunk's HTTP Event Collector; several of them are sent one after the other, with nothing between. */
export function formatSplunk(event: LogEvent, render: Format, { format, index }: SplunkOptions): string {
  const line = render(event);
  const envelope = lineOfJson(
    defined({
      time: timeMs(event.entry) / 1000,
      host: event.origin.split('/')[0],
      source: event.origin,
      sourcetype: `modelkeep:${format}`,
      index,
      fields: { key: event.key },
    }),
  );
  const content = format === 'cef' ? lineOfJson(line) : line;
  return `${envelope.slice(0, -1)},"event":${content}}`;
}
