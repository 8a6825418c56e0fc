import { z } from 'zod';
import type { Permission } from '../access/catalogue.ts';
import { type Route, root } from '../http/route.ts';
import type { Clock } from '../kernel/clock.ts';
import type { ListedBlob } from '../storage/blobs.ts';
import type { Registry } from './registry.ts';

export interface StrayBlobRoutesOptions {
  readonly registry: Pick<Registry, 'strays' | 'removeStrays'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** Time to notice that a database was put back which is older than the blobs beside it. */
const GRACE_MS = 7 * 86_400_000;

const PATH = '/api/v1/models/stray-blobs';
const blob = z.object({ name: z.string(), bytes: z.number(), modifiedAt: z.string() });
const removal = z.strictObject({ now: z.enum(['true', 'false']).optional() });

/** Blobs that no version names, as routes. */
export function createStrayBlobRoutes({
  registry,
  clock,
}: StrayBlobRoutesOptions): readonly Route<Permission>[] {
  const tag = 'models';
  return [
    {
      method: 'GET',
      path: PATH,
      guard: { permission: 'system.read', scope: root },
      audit: 'blob.list',
      summary: 'List the stored blobs that no version names; DELETE removes those marked removable',
      tag,
      response: z.object({ blobs: z.array(blob.extend({ removable: z.boolean() })) }),
      async handle() {
        const before = clock.now() - GRACE_MS;
        const strays = await registry.strays();
        const shown = strays.map((stray) => ({ ...blobView(stray), removable: stray.modifiedAt < before }));
        return { body: { blobs: shown } };
      },
    },
    {
      method: 'DELETE',
      path: PATH,
      guard: { permission: 'system.configure', scope: root },
      audit: 'blob.remove',
      summary: 'Remove the blobs that no version names and that are older than 7 days; now=true: of any age',
      tag,
      request: { query: removal },
      response: z.object({ removed: z.array(blob) }),
      async handle(call) {
        const { now } = call.query as z.infer<typeof removal>;
        const removed = await registry.removeStrays(now === 'true' ? undefined : clock.now() - GRACE_MS);
        call.note({ detail: { blobs: removed.length, now: now === 'true' } });
        return { body: { removed: removed.map(blobView) } };
      },
    },
  ];
}

function blobView({ name, bytes, modifiedAt }: ListedBlob): z.infer<typeof blob> {
  return { name, bytes, modifiedAt: new Date(modifiedAt).toISOString() };
}
