import { z } from 'zod';

/** The JSON of the access routes. Times are ISO 8601, UTC. */

/** A name, an id, or `kind:name`. */
export const reference = z.string().min(1).max(128);
const name = z.string().min(1).max(63);
const scope = z.string().min(1).max(512);
const permission = z.string().min(1).max(64);
const time = z.iso.datetime({ offset: true });

export const groupDraft = z.strictObject({ name });
export const group = z.object({ id: z.string(), name: z.string(), createdAt: time, memberCount: z.number() });
const subject = z.object({ id: z.string(), kind: z.string(), name: z.string().optional() });
export const groupWithMembers = group.extend({ members: z.array(subject) });

export const roleDraft = z.strictObject({
  name,
  description: z.string().default(''),
  permissions: z.array(permission).max(256).default([]),
  parents: z.array(reference).max(64).default([]),
});
export const role = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  builtIn: z.boolean(),
  permissions: z.array(z.string()).describe('as written: permissions and patterns'),
  parents: z.array(z.string()).describe('names of roles'),
  effective: z.array(z.string()).describe('what they come to, inherited ones included'),
});

export const bindingDraft = z.strictObject({
  subject: reference.describe('user:NAME, service-account:NAME, group:NAME or an id'),
  role: reference,
  scope,
  effect: z.enum(['allow', 'deny']).default('allow'),
  notBefore: time.nullish(),
  expiresAt: time.nullish(),
  reason: z.string().default(''),
});
export const binding = z.object({
  id: z.string(),
  subject: z.string(),
  subjectId: z.string(),
  role: z.string(),
  scope: z.string(),
  effect: z.enum(['allow', 'deny']),
  notBefore: time.nullable(),
  expiresAt: time.nullable(),
  reason: z.string(),
  createdBy: z.string(),
  createdAt: time,
});
export const bindingQuery = z.strictObject({
  subject: reference.optional(),
  role: reference.optional(),
  scope: scope.optional(),
  limit: z.coerce.number().int().min(1).max(10_000).default(1000),
  after: z.string().max(64).optional().describe('the `next` of the page before'),
});
export const bindingPage = z.object({ bindings: z.array(binding), next: z.string().optional() });

export const question = z.strictObject({ permission, scope });
export const answer = z.object({
  allowed: z.boolean(),
  code: z.string(),
  reason: z.string(),
  revision: z.number(),
});

export const explainQuestion = z.strictObject({ permission, scope, subject: reference.optional() });
const matched = z.object({
  binding: z.string(),
  effect: z.enum(['allow', 'deny']),
  role: z.string(),
  scope: z.string(),
  via: z.string(),
});
export const explanation = answer.extend({
  matched: z.array(matched),
  nearMisses: z.array(z.object({ kind: z.string(), hint: z.string() })),
  grantors: z.array(subject).describe('who can give it; told to those who hold authz.explain'),
});
export const holders = z.object({ principals: z.array(subject.extend({ bindings: z.array(z.string()) })) });

/** Milliseconds since 1970 UTC, or null for an absent time. */
export function instant(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Date.parse(text);
}
