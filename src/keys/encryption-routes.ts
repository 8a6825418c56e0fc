import { z } from 'zod';
import type { Permission } from '../access/catalogue.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import { KEY_NAME, PATH_CHARS_MAX } from '../crypto/values/value-header.ts';
import { valueProblems } from '../crypto/values/problems.ts';
import type { Call, Route } from '../http/route.ts';
import { encodeBase64, parseBase64 } from '../kernel/base64.ts';
import { encryptionProblems } from './encryption-problems.ts';
import { BATCH_BYTES_MAX, type EncryptionService, ITEM_BYTES_MAX } from './encryption-service.ts';

const KEY = '/api/v1/keys/{key}';
const ITEMS_MAX = 256;
/** Base64 of a whole batch, and for each item its frame: a header of at most 4 KiB, the longest aad, both as text. */
const BODY_BYTES_MAX = Math.ceil((BATCH_BYTES_MAX * 4) / 3) + ITEMS_MAX * 12 * 1024;
const CIPHERTEXT_CHARS_MAX = Math.ceil((ITEM_BYTES_MAX * 4) / 3) + 8 * 1024;

const aad = z.string().min(1).max(PATH_CHARS_MAX).meta({
  description: 'What the item is for; it is decrypted only with the same text. Authenticated, not secret.',
  example: 'customers/42/iban',
});
const base64 = z.string().meta({ contentEncoding: 'base64' });
const plaintext = base64.max(Math.ceil(ITEM_BYTES_MAX / 3) * 4).transform((text, context) => {
  const bytes = parseBase64(text);
  if (bytes && bytes.length <= ITEM_BYTES_MAX) return bytes;
  context.issues.push({
    code: 'custom',
    message: bytes ? `more than ${ITEM_BYTES_MAX} bytes` : 'not canonical base64 with padding',
    // The default would be the plaintext, and an issue may be printed.
    input: undefined,
  });
  return z.NEVER;
});
const ciphertext = z
  .string()
  .max(CIPHERTEXT_CHARS_MAX)
  .meta({ description: 'A JWE in compact serialization.' });

const batchOf = <Item extends z.ZodType>(item: Item) =>
  z.strictObject({ items: z.array(item).min(1).max(ITEMS_MAX) });
const plainBatch = batchOf(z.strictObject({ plaintext, aad }));
const boundBatch = batchOf(z.strictObject({ ciphertext, aad }));

const refused = z.strictObject({
  error: z.literal(valueProblems.invalid_value.code).meta({ description: 'The code of a problem.' }),
});
const failed = z.int().min(0).meta({ description: 'How many items did not open.' });
const sealedItems = z.strictObject({ items: z.array(z.strictObject({ ciphertext })) });
const openedItems = z.strictObject({
  failed,
  items: z.array(z.union([z.strictObject({ plaintext: base64 }), refused])),
});
const rewrappedItems = z.strictObject({
  failed,
  items: z.array(z.union([z.strictObject({ ciphertext }), refused])),
});

/** Encryption for callers that must not hold keys. Nothing of a plaintext reaches an entry, not even its digest. */
export function createEncryptionRoutes({
  encryption,
}: {
  readonly encryption: EncryptionService;
}): readonly Route<Permission>[] {
  const common = {
    method: 'POST',
    guard: { permission: 'key.use', scope: ({ params }) => `/keys/${params['key']}` },
    kind: 'read',
    tag: 'keys',
    problems: [encryptionProblems.no_seal_key, encryptionProblems.batch_too_large],
  } as const satisfies Partial<Route<Permission>>;
  const sealingProblems = [...common.problems, ringProblems.key_exhausted];

  return [
    {
      ...common,
      path: `${KEY}/encrypt`,
      audit: 'key.encrypt',
      summary: 'Encrypt small values with a key of the ring',
      request: requestOf(plainBatch),
      response: sealedItems,
      problems: sealingProblems,
      async handle(call) {
        const { items } = call.body as z.infer<typeof plainBatch>;
        const sealed = await encryption.encrypt(begin(call, items), items, call.signal);
        finish(call, sealed);
        return { body: { items: sealed.map(({ ciphertext }) => ({ ciphertext })) } };
      },
    },
    {
      ...common,
      path: `${KEY}/decrypt`,
      audit: 'key.decrypt',
      summary: 'Decrypt small values with a key of the ring',
      request: requestOf(boundBatch),
      response: openedItems,
      async handle(call) {
        const { items } = call.body as z.infer<typeof boundBatch>;
        const opened = await encryption.decrypt(begin(call, items), items, call.signal);
        const failures = finish(call, opened);
        const shown = opened.map((item) =>
          item ? { plaintext: encodeBase64(item.plaintext.reveal()) } : REFUSED,
        );
        return { body: { failed: failures, items: shown } };
      },
    },
    {
      ...common,
      path: `${KEY}/rewrap`,
      audit: 'key.rewrap',
      summary: 'Encrypt small values anew with the active version of a key; their plaintext is not shown',
      request: requestOf(boundBatch),
      response: rewrappedItems,
      problems: sealingProblems,
      async handle(call) {
        const { items } = call.body as z.infer<typeof boundBatch>;
        const rewrapped = await encryption.rewrap(begin(call, items), items, call.signal);
        const failures = finish(call, rewrapped);
        const shown = rewrapped.map((item) => (item ? { ciphertext: item.ciphertext } : REFUSED));
        return { body: { failed: failures, items: shown } };
      },
    },
  ];
}

const REFUSED = { error: valueProblems.invalid_value.code };

const params = z.object({ key: z.string().regex(KEY_NAME) });

function requestOf<Body extends z.ZodType>(body: Body) {
  return { params, body, bodyBytesMax: BODY_BYTES_MAX };
}

/** The name of the key. Notes what is known before the work begins, so that the entry of a failed request tells it too. */
function begin(call: Call, items: readonly unknown[]): string {
  const key = call.params['key'] ?? '';
  call.note({ detail: { key, items: items.length } });
  return key;
}

/** How many items failed. */
function finish(call: Call, items: readonly ({ readonly version: number } | undefined)[]): number {
  const versions = new Set(items.flatMap((item) => item?.version ?? []));
  const failures = items.filter((item) => item === undefined).length;
  const version = [...versions].toSorted((a, b) => a - b).join(',');
  call.note({ detail: { version, failed: failures } });
  return failures;
}
