/**
 * Scopes and resource paths. A path names one node of the resource tree: `/projects/fraud/models/score`. A scope is `/`
 * or a node and covers its subtree; `*` in a scope stands for exactly one whole segment. There are no prefixes or
 * patterns inside a segment: `my*` would one day match `my-secret`.
 */

/** Deepest node: `/projects/p/models/m/versions/n` is 6; the index packs a depth into three bits. */
export const SCOPE_DEPTH_MAX = 7;

const SEGMENT_LENGTH_MAX = 63;
const SLASH = 0x2f;
const STAR = 0x2a;

/** Claims that `text` is `/` or a node, in its only spelling: lower case, no `.`, `..`, `//`, `%`, or trailing slash. */
export function isPath(text: string): boolean {
  return isWellFormed(text, false);
}

/** The scope in `text`, or undefined if it is not one. */
export function parseScope(text: string): string | undefined {
  return isWellFormed(text, true) ? text : undefined;
}

export function hasWildcard(scope: string): boolean {
  return scope.includes('*');
}

/**
 * Claims that every node which `inner` (a path or a scope) stands for lies in the subtree of `scope`. Both must be
 * well formed.
 */
export function covers(scope: string, inner: string): boolean {
  if (scope.length === 1) return true;
  let at = 0;
  for (let i = 0; i < scope.length; i++) {
    const code = scope.charCodeAt(i);
    if (code === STAR) {
      const end = endOfSegment(inner, at);
      if (end === at) return false; // the root has no segment
      at = end;
    } else if (code !== inner.charCodeAt(at++)) {
      return false;
    }
  }
  return at === inner.length || inner.charCodeAt(at) === SLASH;
}

/** Claims that some node lies in the subtrees of both scopes. */
export function overlaps(one: string, other: string): boolean {
  const left = segments(one);
  const right = segments(other);
  return left.every((segment, at) => {
    const opposite = right[at];
    return opposite === undefined || segment === '*' || opposite === '*' || segment === opposite;
  });
}

/** How many segments a path has; the root has none. */
export function depthOf(path: string): number {
  if (path.length === 1) return 0;
  let depth = 0;
  for (let at = 0; at !== -1; at = path.indexOf('/', at + 1)) depth++;
  return depth;
}

/** The path itself and the nodes above it, the root first. */
export function ancestors(path: string): readonly string[] {
  const nodes = segments(path);
  return ['/', ...nodes.map((_, depth) => `/${nodes.slice(0, depth + 1).join('/')}`)];
}

/** Every scope that covers `path`: its ancestors, and each of them with any of its segments as `*`. */
export function coveringScopes(path: string): readonly string[] {
  let level = [''];
  const all = ['/'];
  for (const segment of segments(path)) {
    level = level.flatMap((parent) => [`${parent}/${segment}`, `${parent}/*`]);
    all.push(...level);
  }
  return all;
}

function segments(scope: string): readonly string[] {
  return scope === '/' ? [] : scope.slice(1).split('/');
}

function endOfSegment(text: string, from: number): number {
  const slash = text.indexOf('/', from);
  return slash === -1 ? text.length : slash;
}

/** A scan, not a regular expression: every decision runs it. */
function isWellFormed(text: string, wildcards: boolean): boolean {
  if (text === '/') return true;
  if (text.charCodeAt(0) !== SLASH) return false;
  let depth = 0;
  for (let start = 1; start <= text.length; ) {
    let end = start;
    for (
      let code = text.charCodeAt(end);
      end < text.length && code !== SLASH;
      code = text.charCodeAt(++end)
    ) {
      if (isAlphanumeric(code)) continue;
      const isStar = wildcards && code === STAR && end === start && isSegmentEnd(text, end + 1);
      const isInner = (code === 0x2d || code === 0x5f) && end > start && !isSegmentEnd(text, end + 1);
      if (!isStar && !isInner) return false;
    }
    if (end === start || end - start > SEGMENT_LENGTH_MAX || ++depth > SCOPE_DEPTH_MAX) return false;
    start = end + 1;
  }
  return true;
}

function isAlphanumeric(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39);
}

function isSegmentEnd(text: string, at: number): boolean {
  return at === text.length || text.charCodeAt(at) === SLASH;
}
