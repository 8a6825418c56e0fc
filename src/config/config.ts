import { isIP } from 'node:net';
import { z } from 'zod';
import { sinksSchema } from './audit-sinks.ts';
import { rootKeySchema } from './root-key.ts';

const ms = (default_: number, about: string) =>
  z.int().min(1).max(86_400_000).default(default_).describe(`${about}, milliseconds.`);
const count = (default_: number, about: string) =>
  z.int().min(1).max(1_000_000).default(default_).describe(about);
const bytes = (default_: number, about: string) =>
  z
    .int()
    .min(1)
    .max(2 ** 50)
    .default(default_)
    .describe(`${about}, bytes.`);

const host = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,253}$/, 'expected a host name or an address')
  .default('127.0.0.1')
  .describe('Host name or address to listen on. Beyond loopback only with TLS.');
const port = z.int().min(0).max(65_535);
const network = z.string().refine(isNetwork, 'expected an address or a network such as 10.0.0.0/8');

/** A secret stands in the configuration by reference only; what looks like the secret itself is refused. */
const reference = z
  .string()
  .regex(
    /^(?:env:[A-Za-z_][A-Za-z0-9_]*|(?:file:)?(?!-----)[^\n]+)$/,
    'expected env:NAME, file:/path or a path',
  )
  .describe('Where the private key is: `env:NAME`, `file:/path` or a path. PEM.');

const slug = '[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?';

/** Every key there is. The text of `describe` is the reference page's. */
export const configSchema = z.strictObject({
  listen: z
    .strictObject({
      host,
      port: port.default(8750).describe('Port to listen on; 0 takes a free one.'),
    })
    .prefault({}),
  management: z
    .strictObject({
      listen: z
        .strictObject({ host, port: port.describe('Port of the management listener.') })
        .optional()
        .describe('A listener of its own for `/api/v1`. Absent: the same as `listen`.'),
    })
    .prefault({}),
  tls: z
    .strictObject({
      mode: z
        .enum(['none', 'terminated-upstream'])
        .default('none')
        .describe(
          '`terminated-upstream`: a proxy in front ends TLS, and this server may listen beyond loopback in plain HTTP.',
        ),
      certificate: z.string().min(1).optional().describe('Path of the certificate chain. PEM.'),
      key: reference.optional(),
    })
    .prefault({}),
  trustedProxies: z
    .array(network)
    .default([])
    .describe('Addresses or networks of proxies whose `x-forwarded-for` is believed.'),
  auth: z
    .strictObject({
      basic: z.boolean().default(true).describe('Accept HTTP Basic (passwords) beside API keys.'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      bodyBytesMax: bytes(1024 ** 2, 'Largest JSON body'),
      streamBytesMax: bytes(4 * 1024 ** 3, 'Largest streamed body, such as a model'),
      headerBytesMax: bytes(16 * 1024, 'Largest request line and headers together'),
      headerCountMax: count(100, 'Most headers of one request.'),
      headersMs: ms(10_000, 'Time for the headers to arrive'),
      bodyMs: ms(30_000, 'Time for a JSON body to arrive'),
      streamIdleMs: ms(30_000, 'Longest silence within a streamed body'),
      handleMs: ms(60_000, 'Time for the work behind a request before it is told to stop'),
      keepAliveMs: ms(5_000, 'How long an idle connection is kept'),
      connectionsMax: count(4_096, 'Most open connections per listener.'),
      paramCharsMax: count(256, 'Most characters of one path segment.'),
      jsonDepthMax: z.int().min(1).max(512).default(64).describe('Deepest nesting of a JSON body.'),
    })
    .prefault({}),
  serving: z
    .strictObject({
      defaultModel: z
        .string()
        .regex(new RegExp(`^${slug}/${slug}$`), 'expected project/model')
        .optional()
        .describe('The model of `POST /predict`, as `project/model`.'),
      deadlineMs: ms(2_000, 'One run of a model; after it the process is killed'),
      startMsMax: ms(30_000, 'From the start of a model process until its model is loaded'),
      memoryBytesMax: bytes(512 * 1024 ** 2, 'Memory of a model process above what it held after loading'),
      restartsPerMinute: count(5, 'Restarts of a failing model process per minute.'),
      queueMax: count(256, 'Requests that wait for one model; further ones are refused.'),
      batchRowsMax: count(32, 'Rows of separate requests that are run together; 1 turns batching off.'),
      instancesMax: count(1_024, 'Instances in one plain request.'),
      outputBytesMax: bytes(64 * 1024 ** 2, 'All outputs of one run together'),
      processesMax: count(32, 'Model processes at once.'),
      drainMsMax: ms(10_000, 'How long a closing model process may work off its queue'),
    })
    .prefault({}),
  rootKey: rootKeySchema,
  keys: z
    .strictObject({
      acceptGeneration: z
        .int()
        .min(1)
        .optional()
        .describe(
          'After the key ring was lost for good: the generation of the older copy that may take its place.',
        ),
    })
    .prefault({}),
  audit: z
    .strictObject({
      origin: z
        .string()
        .regex(/^[A-Za-z0-9._:/-]{1,128}$/, 'expected letters, digits and . _ : / - only')
        .optional()
        .describe('Name of the log in its checkpoints. Absent: one made at `init`.'),
      reserveBytes: z
        .int()
        .min(0)
        .max(2 ** 40)
        .default(64 << 20)
        .describe('Disk space kept back, so that refusals can be recorded on a full disk, bytes; 0: none.'),
      retention: z
        .string()
        .regex(
          /^(?:forever|P(?=[1-9])(?:\d{1,3}Y)?(?:\d{1,4}M)?)$/,
          'expected forever, or a period such as P1Y or P18M',
        )
        .default('forever')
        .describe('How long entries are kept: `forever`, or whole months such as `P1Y` or `P18M`.'),
      keyOverlapDays: z
        .int()
        .min(1)
        .max(366)
        .default(30)
        .describe(
          'How long the old key of the log signs beside a new one, days. It is fixed when a change of the key begins.',
        ),
      postQuantum: z
        .boolean()
        .default(false)
        .describe(
          'Sign checkpoints with ML-DSA-44, too: 3.3 KB more in each, and in each receipt. `audit vkey` then prints a key more.',
        ),
      publicTree: z
        .boolean()
        .default(true)
        .describe('Answer checkpoint and hash tiles without a credential. Entries stay guarded.'),
      detection: z
        .strictObject({
          enabled: z.boolean().default(true).describe('Watch the log for attacks, and answer them.'),
          rules: z.string().optional().describe('Path of a YAML file that tunes the rules.'),
        })
        .prefault({}),
      witness: z
        .strictObject({
          policy: z
            .string()
            .optional()
            .describe('Path of a tlog-policy file: the witnesses, and the quorum.'),
          requireQuorumWithinMs: z
            .int()
            .min(1000)
            .max(86_400_000)
            .optional()
            .describe(
              'Without a quorum of witnesses for so long, milliseconds, nothing more is recorded. Absent: recording goes on.',
            ),
        })
        .prefault({}),
      sinks: sinksSchema,
      delivery: z
        .strictObject({
          alertMs: ms(300_000, 'A sink that stays further behind for so long is reported'),
          checkpointMs: ms(300_000, 'Between two signed checkpoints to one sink'),
        })
        .prefault({}),
    })
    .prefault({}),
  log: z
    .strictObject({
      level: z.enum(['info', 'warn', 'error']).default('info').describe('Least level of the operator log.'),
    })
    .prefault({}),
  metrics: z
    .strictObject({
      public: z.boolean().default(false).describe('Answer `/metrics` without a credential.'),
    })
    .prefault({}),
});

export type Config = DeepReadonly<z.output<typeof configSchema>>;

type DeepReadonly<T> = T extends object ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> } : T;

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32));
}
