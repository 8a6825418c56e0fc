import { z } from 'zod';
import type { Account, ApiKey, Subject } from './record.ts';

/** A user or service account, as the API shows it. */
export const account = z.object({
  id: z.string(),
  kind: z.enum(['user', 'service_account']),
  name: z.string(),
  display: z.string(),
  state: z.enum(['active', 'disabled']),
  hasPassword: z.boolean(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export const grant = z.strictObject({ permission: z.string().max(128), scope: z.string().max(512) });
/** An API key, as the API shows it: never its MAC, its text only beside this once. */
export const apiKey = z.object({
  id: z.string(),
  publicId: z.string(),
  owner: z.string(),
  ownerId: z.string(),
  label: z.string(),
  scopes: z.array(grant).nullable(),
  createdAt: z.string(),
  createdBy: z.string(),
  notBefore: z.string(),
  expiresAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
  lastUsedAt: z.string().nullable(),
});
export const whoami = z.object({
  principal: z.object({
    kind: z.enum(['user', 'service_account', 'local']),
    id: z.string(),
    name: z.string(),
    groups: z.array(z.string()),
  }),
  credential: z.object({ kind: z.string(), id: z.string(), scopes: z.array(grant).optional() }),
});

export function viewOf({ createdAt, updatedAt, ...rest }: Account): z.infer<typeof account> {
  return { ...rest, createdAt: isoTime(createdAt), updatedAt: isoTime(updatedAt) };
}

export function keyViewOf(key: ApiKey, owner: Subject | undefined): z.infer<typeof apiKey> {
  const kind = owner?.kind === 'service_account' ? 'service-account' : 'user';
  return {
    id: key.id,
    publicId: key.publicId,
    owner: owner === undefined ? key.ownerId : `${kind}:${owner.name}`,
    ownerId: key.ownerId,
    label: key.label,
    scopes: key.scopes === null ? null : [...key.scopes],
    createdAt: isoTime(key.createdAt),
    createdBy: key.createdBy,
    notBefore: isoTime(key.notBefore),
    expiresAt: isoTimeOrNull(key.expiresAt),
    revokedAt: isoTimeOrNull(key.revokedAt),
    lastUsedAt: isoTimeOrNull(key.lastUsedAt),
  };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

function isoTimeOrNull(ms: number | null): string | null {
  return ms === null ? null : isoTime(ms);
}
