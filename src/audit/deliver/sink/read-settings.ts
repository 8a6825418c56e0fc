import type { Secret } from '../../../kernel/secret.ts';
import type { FormatName } from '../format/format.ts';
import type { SinkSettings } from './create-sink.ts';

/** One row of `audit.sinks` as it stands in the configuration: secrets by reference, certificates by path. */
export type SinkRow =
  | (HttpRow & { readonly kind: 'webhook'; readonly secret: string; readonly format: FormatName })
  | (HttpRow & { readonly kind: 'otlp'; readonly authorization?: string | undefined })
  | (HttpRow & {
      readonly kind: 'splunk';
      readonly token: string;
      readonly format: FormatName;
      readonly index?: string | undefined;
    })
  | {
      readonly kind: 'syslog';
      readonly name: string;
      readonly host: string;
      readonly port: number;
      readonly format: FormatName;
      readonly caFile?: string | undefined;
      readonly certificateFile?: string | undefined;
      readonly key?: string | undefined;
    }
  | {
      readonly kind: 'file';
      readonly name: string;
      readonly path: string;
      readonly format: FormatName;
      readonly rotateBytes: number;
      readonly keepFiles: number;
    };

interface HttpRow {
  readonly name: string;
  readonly url: string;
  readonly caFile?: string | undefined;
}

export interface SettingsSource {
  /** What `env:NAME` or `file:/path` leads to. Throws if there is nothing. */
  secret(reference: string): Secret<string>;
  /** The text of a file. */
  file(path: string): string;
}

/** Throws whatever the source throws: a sink whose secret is missing does not start without it. */
export function readSettings(row: SinkRow, source: SettingsSource): SinkSettings {
  if (row.kind === 'file') return row;
  const ca = row.caFile === undefined ? undefined : source.file(row.caFile);
  switch (row.kind) {
    case 'webhook':
      return { ...row, ca, secret: source.secret(row.secret) };
    case 'splunk':
      return { ...row, ca, token: source.secret(row.token) };
    case 'otlp': {
      const { authorization } = row;
      return {
        ...row,
        ca,
        authorization: authorization === undefined ? undefined : source.secret(authorization),
      };
    }
    case 'syslog':
    default: {
      const { certificateFile, key } = row;
      return {
        ...row,
        ca,
        certificate: certificateFile === undefined ? undefined : source.file(certificateFile),
        key: key === undefined ? undefined : source.secret(key),
      };
    }
  }
}
