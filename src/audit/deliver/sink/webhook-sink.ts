import { createHmac, createSecretKey } from 'node:crypto';
import type { Clock } from '../../../kernel/clock.ts';
import type { Secret } from '../../../kernel/secret.ts';
import { createFormat, type FormatName } from '../format/format.ts';
import { createHttpPost } from './http-post.ts';
import { LIMITS, type Sink } from './sink.ts';

export interface WebhookSettings {
  readonly kind: 'webhook';
  readonly name: string;
  readonly url: string;
  /** Shared with the receiver; at least 16 characters. */
  readonly secret: Secret<string>;
  readonly format: FormatName;
  /** PEM. */
  readonly ca?: string | undefined;
}

/**
 * POST of `{"origin":…,"events":[…]}`. `modelkeep-signature: t=<unix seconds>,v1=<hex>` is HMAC-SHA256 over
 * `<seconds>.<body>`, made anew for each attempt: a receiver refuses what is older than some minutes.
 */
export function createWebhookSink(
  settings: WebhookSettings,
  { clock, version }: { clock: Clock; version: string },
): Sink {
  const { name, kind, format, url, ca } = settings;
  if (settings.secret.reveal().length < 16)
    throw new TypeError('the secret of a webhook has at least 16 characters');
  const key = createSecretKey(Buffer.from(settings.secret.reveal()));
  const http = createHttpPost({ url, ca });
  const render = createFormat(format, version);
  return {
    name,
    kind,
    limits: LIMITS,
    render,
    async send({ key: idempotencyKey, origin, items }, signal) {
      const events = items.map(({ text }) => (format === 'cef' ? JSON.stringify(text) : text));
      const body = `{"origin":${JSON.stringify(origin)},"format":"${format}","events":[${events.join(',')}]}`;
      const seconds = Math.floor(clock.now() / 1000);
      const signature = createHmac('sha256', key).update(`${seconds}.${body}`).digest('hex');
      const headers = {
        'content-type': 'application/json',
        'idempotency-key': idempotencyKey,
        'modelkeep-signature': `t=${seconds},v1=${signature}`,
      };
      await http.post(body, headers, signal);
      return 0;
    },
    close: async () => http.close(),
  };
}
