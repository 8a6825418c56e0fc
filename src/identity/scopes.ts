import type { Grant } from '../kernel/principal.ts';
import { identityProblems } from './problems.ts';

/**
 * The scopes of an API key as asked for, or a throw of `identity.key_refused`. They only ever take away: what a key may
 * do is what its owner may do at that moment AND one of these.
 */
export function checkScopes(
  scopes: readonly Grant[],
  isPermission: (text: string) => boolean,
): readonly Grant[] {
  if (scopes.length === 0)
    throw refused('a list of no scopes makes a key that can do nothing; leave it out instead');
  if (scopes.length > SCOPES_MAX) throw refused(`a key has at most ${SCOPES_MAX} scopes`);
  return scopes.map(({ permission, scope }) => {
    if (!PATTERN.test(permission) || (!permission.includes('*') && !isPermission(permission))) {
      throw refused(`"${permission}" is not a permission, resource.* or *`);
    }
    if (scope.length > PATH_LENGTH_MAX || !PATH.test(scope)) {
      throw refused(`"${scope}" is not a path such as /projects/fraud or /projects/*/models/score`);
    }
    return { permission, scope };
  });
}

const SCOPES_MAX = 100;
const PATH_LENGTH_MAX = 512;
const PATTERN = /^(?:\*|[a-z]+\.(?:\*|[a-z]+(?:-[a-z]+)*))$/;
const PATH =
  /^\/(?:(?:\*|[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)(?:\/(?:\*|[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)){0,7})?$/;

function refused(detail: string): Error {
  return identityProblems.key_refused(detail);
}
