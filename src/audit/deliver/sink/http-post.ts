import { request as requestPlain, Agent as PlainAgent, type IncomingMessage } from 'node:http';
import { request as requestTls, Agent as TlsAgent } from 'node:https';
import { isLoopback } from './loopback.ts';
import { SinkRefusal, SinkUnavailable } from './sink.ts';

export interface HttpPostOptions {
  /** From the configuration and nowhere else. `https:`, or `http:` to this machine. No user information in it. */
  readonly url: string;
  /** Certificates to trust instead of the public ones, PEM. */
  readonly ca?: string | undefined;
  readonly timeoutMs?: number;
}

export interface HttpPost {
  /** The text of a 2xx answer, cut at 64 KiB. A redirect is a failure: it could lead anywhere. */
  post(body: string, headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<string>;
  close(): void;
}

const ANSWER_BYTES_MAX = 64 * 1024;
const RETRY_AFTER_MS_MAX = 600_000;
/** What an answer says about the content of the request. Everything else may pass, or is for the operator to mend. */
const REFUSALS: ReadonlySet<number> = new Set([400, 413, 415, 422]);

/** Throws a TypeError on a URL that is not allowed. */
export function createHttpPost({ url, ca, timeoutMs = 10_000 }: HttpPostOptions): HttpPost {
  const target = parseTarget(url);
  const isTls = target.protocol === 'https:';
  const agentOptions = { keepAlive: true, maxSockets: 1, timeout: timeoutMs };
  const agent = isTls
    ? new TlsAgent({ ...agentOptions, ...(ca !== undefined && { ca }) })
    : new PlainAgent(agentOptions);
  return {
    async post(body, headers, signal) {
      const bytes = Buffer.from(body);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
      const options = {
        method: 'POST',
        agent,
        signal: limit,
        headers: { ...headers, 'content-length': bytes.length, 'user-agent': 'modelkeep' },
      };
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const request = isTls ? requestTls(target, options) : requestPlain(target, options);
        request.once('response', resolve).once('error', reject).end(bytes);
      });
      return judge(answer, await readText(answer));
    },
    close: () => agent.destroy(),
  };
}

function parseTarget(url: string): URL {
  const target = URL.canParse(url) ? new URL(url) : undefined;
  if (target === undefined) throw new TypeError('the URL of a sink is not a URL');
  if (target.username !== '' || target.password !== '')
    throw new TypeError('the URL of a sink holds no user name and no password');
  const isAllowed =
    target.protocol === 'https:' || (target.protocol === 'http:' && isLoopback(target.hostname));
  if (!isAllowed) throw new TypeError('the URL of a sink is https, or http to this machine');
  return target;
}

function judge(answer: IncomingMessage, text: string): string {
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return text;
  if (REFUSALS.has(status)) throw new SinkRefusal(`the receiver answered ${status}`);
  if (status >= 300 && status < 400)
    throw new SinkUnavailable(`the receiver answered ${status}, and redirects are not followed`);
  throw new SinkUnavailable(`the receiver answered ${status}`, retryAfterMs(answer.headers['retry-after']));
}

function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined || !/^\d{1,9}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1000, RETRY_AFTER_MS_MAX);
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > ANSWER_BYTES_MAX) {
      answer.destroy();
      break;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
