import { encodeBase64 } from '../../../kernel/base64.ts';
import { formatCef } from './cef.ts';
import { formatEcs } from './ecs.ts';
import type { LogEvent } from './event.ts';
import { formatOcsf } from './ocsf.ts';
import { defined, lineOfJson } from './text.ts';

export const FORMATS = ['json', 'ocsf', 'ecs', 'cef'] as const;

/** `json` is the entry as the log holds it, with its place and leaf hash. */
export type FormatName = (typeof FORMATS)[number];

/** One event as one line of text, without its end. The line holds no control character. Pure. */
export type Format = (event: LogEvent) => string;

/** `version` is Modelkeep's own. */
export function createFormat(name: FormatName, version: string): Format {
  const formats: Readonly<Record<FormatName, Format>> = {
    json: formatJson,
    ocsf: (event) => formatOcsf(event, version),
    ecs: (event) => formatEcs(event, version),
    cef: (event) => formatCef(event, version),
  };
  return formats[name];
}

function formatJson({ key, origin, index, leaf, entry }: LogEvent): string {
  return lineOfJson(
    defined({ key, origin, index, leaf: leaf === undefined ? undefined : encodeBase64(leaf), entry }),
  );
}
