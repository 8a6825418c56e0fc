import { z } from 'zod';
import type { NewApiKey } from './api-keys.ts';
import { grant } from './views.ts';

const name = z.string().max(64);
const display = z.string().max(200);
// Wider than the policy, so that a password that is too long is refused by the rule and not by the shape.
const password = z.string().max(1024);
export const change = z.strictObject({
  display: display.optional(),
  state: z.enum(['active', 'disabled']).optional(),
});
export const newServiceAccount = z.strictObject({ name, display: display.optional() });
export const newUser = z.strictObject({ name, display: display.optional(), password: password.optional() });
export const newPassword = z.strictObject({ password });
export const setup = z.strictObject({ token: z.string().max(128), name, password });
export const newApiKey = z.strictObject({
  owner: z.string().max(128),
  label: z.string().max(200).optional(),
  scopes: z.array(grant).optional(),
  expiresInDays: z.int().optional(),
  notBefore: z.iso.datetime().optional(),
});
export const keyQuery = z.strictObject({ owner: z.string().max(128).optional() });

/** A checked body as the service takes it, for the owner with this id. */
export function requestOf(
  { label, scopes, expiresInDays, notBefore }: z.infer<typeof newApiKey>,
  owner: string,
): NewApiKey {
  return {
    owner,
    ...(label === undefined ? {} : { label }),
    ...(scopes === undefined ? {} : { scopes }),
    ...(expiresInDays === undefined ? {} : { expiresInDays }),
    ...(notBefore === undefined ? {} : { notBefore: Date.parse(notBefore) }),
  };
}
