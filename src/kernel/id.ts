import { randomBytes } from 'node:crypto';
import type { Clock } from './clock.ts';

/** What an id names; the prefix is part of the id, so that a key id pasted where a user id belongs is refused. */
export type IdKind = 'usr' | 'sa' | 'grp' | 'key' | 'rol' | 'bnd' | 'prj' | 'mdl' | 'ver' | 'req';

export type Id<Kind extends IdKind> = `${Kind}_${string}` & { readonly __id: Kind };

/** A new id: prefix, `_`, and 26 Crockford base32 characters of a ULID (48-bit time, 80 random bits). */
export function newId<Kind extends IdKind>(kind: Kind, clock: Clock): Id<Kind> {
  return `${kind}_${ulid(clock.now())}` as Id<Kind>;
}

/** The id in `text`, or undefined if it is not one of `kind`. */
export function parseId<Kind extends IdKind>(kind: Kind, text: string): Id<Kind> | undefined {
  const prefix = `${kind}_`;
  return text.startsWith(prefix) && ULID.test(text.slice(prefix.length)) ? (text as Id<Kind>) : undefined;
}

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';
const ULID = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

function ulid(ms: number): string {
  let time = '';
  for (let rest = ms, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) time = CROCKFORD[rest % 32] + time;
  let random = '';
  for (const byte of randomBytes(16)) random += CROCKFORD[byte & 31];
  return time + random;
}
