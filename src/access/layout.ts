import type { Binding } from './policy.ts';
import { accessProblems } from './problems.ts';
import { ancestors, depthOf, hasWildcard, parseScope, SCOPE_DEPTH_MAX } from './scope.ts';

/** All bindings, packed by subject, so that a decision reads one run of memory for each. */
export interface Layout {
  /** For each subject with bindings: where its block stands in `words`. */
  readonly blocks: ReadonlyMap<string, number>;
  /** Blocks of a count `n`, then `n` nodes, `n` role words (flags and the role's number), `n` ordinals. */
  readonly words: Int32Array;
  /** By ordinal; the ids apart, since a decision often needs nothing else of a binding. */
  readonly ordered: readonly Binding[];
  readonly ids: readonly string[];
  /** Every node that a binding without wildcard names, and those above it: depth and number. The root is 0. */
  readonly nodes: ReadonlyMap<string, number>;
  /** By node number: the node above it. */
  readonly parents: readonly number[];
  /** Bit `d` is set if a binding was made on a node of depth `d`: no need to look for nodes of other depths. */
  readonly depths: number;
}

export const DEPTH_SHIFT = 27;
/** Stands for the node of a scope with a wildcard: such a scope is compared itself. Above every real node. */
export const WILD = (SCOPE_DEPTH_MAX + 1) << DEPTH_SHIFT;
/** Flags of a role word. `TIMED`: look at the binding's times. */
export const DENY = 1 << 30;
export const TIMED = 1 << 29;
export const ROLE_MASK = TIMED - 1;

const NODE_MASK = (1 << DEPTH_SHIFT) - 1;
const DEAD_WORDS_MIN = 4096;

export interface LayoutWriter {
  readonly layout: Layout;
  /** Replaces the block of a subject. The one before it is dead memory, until half of all is. */
  write(subject: string, bindings: readonly Binding[]): void;
}

/** `numberOf`: the number of a role that exists, undefined for another. Throws `access.policy_corrupt` on bad bindings. */
export function createLayout(
  bindings: Iterable<Binding>,
  numberOf: (role: string) => number | undefined,
): LayoutWriter {
  const nodes = new Map([['/', 0]]);
  const parents = [0];
  const layout = {
    blocks: new Map<string, number>(),
    words: new Int32Array(0),
    ordered: [] as Binding[],
    ids: [] as string[],
    nodes,
    parents,
    depths: 0,
  };
  let used = 0;
  let dead = 0;

  function layOut(lists: ReadonlyMap<string, readonly Binding[]>): void {
    let size = 0;
    for (const list of lists.values()) size += 1 + 3 * list.length;
    layout.blocks = new Map();
    layout.words = new Int32Array(size);
    layout.ordered = [];
    layout.ids = [];
    used = 0;
    dead = 0;
    for (const [subject, list] of lists) append(subject, list);
  }

  function append(subject: string, list: readonly Binding[]): void {
    const count = list.length;
    const at = used;
    used += 1 + 3 * count;
    if (used > layout.words.length) {
      const larger = new Int32Array(used * 2);
      larger.set(layout.words);
      layout.words = larger;
    }
    const { words, ordered, ids } = layout;
    words[at] = count;
    for (let k = 0; k < count; k++) {
      const binding = list[k] as Binding;
      words[at + 1 + k] = nodeOf(binding);
      words[at + 1 + count + k] = roleWord(binding);
      words[at + 1 + 2 * count + k] = ordered.push(binding) - 1;
      ids.push(binding.id);
    }
    layout.blocks.set(subject, at);
  }

  function roleWord({ id, role, effect, notBefore, expiresAt }: Binding): number {
    const number = numberOf(role);
    if (number === undefined) {
      throw accessProblems.policy_corrupt(`binding ${id} names the role ${role}, which is gone`);
    }
    const timed = notBefore !== null || expiresAt !== null;
    return number | (effect === 'deny' ? DENY : 0) | (timed ? TIMED : 0);
  }

  function nodeOf(binding: Binding): number {
    const known = nodes.get(binding.scope);
    if (known !== undefined) {
      layout.depths |= 1 << (known >>> DEPTH_SHIFT);
      return known;
    }
    const scope = parseScope(binding.scope);
    if (scope === undefined)
      throw accessProblems.policy_corrupt(`binding ${binding.id} has a scope that is none`);
    if (hasWildcard(scope)) return WILD;
    let above = 0;
    for (const [depth, path] of ancestors(scope).entries()) {
      let node = nodes.get(path);
      if (node === undefined) {
        node = (depth << DEPTH_SHIFT) | parents.length;
        nodes.set(path, node);
        parents.push(above);
      }
      above = node;
    }
    layout.depths |= 1 << (above >>> DEPTH_SHIFT);
    return above;
  }

  layOut(bySubject(bindings));
  return {
    layout,
    write(subject, list) {
      const before = bindingsAt(layout, subject).length;
      if (before > 0) dead += 1 + 3 * before;
      layout.blocks.delete(subject);
      if (list.length > 0) append(subject, list);
      if (dead < DEAD_WORDS_MIN || dead * 2 < used) return;
      layOut(new Map([...layout.blocks.keys()].map((id) => [id, bindingsAt(layout, id)])));
    },
  };
}

/** The bindings of a subject itself, not those of its groups. */
export function bindingsAt(layout: Layout, subject: string): readonly Binding[] {
  const at = layout.blocks.get(subject);
  if (at === undefined) return [];
  const count = layout.words[at] ?? 0;
  const ordinals = layout.words.subarray(at + 1 + 2 * count, at + 1 + 3 * count);
  return Array.from(ordinals, (ordinal) => layout.ordered[ordinal] as Binding);
}

/**
 * By depth: the known node on the way from the root to the resource. A binding covers the resource if its node stands
 * here.
 */
export function chainOf({ nodes, parents, depths }: Layout, resource: string): readonly number[] {
  const chain = [0, -1, -1, -1, -1, -1, -1, -1, -1];
  let depth = depthOf(resource);
  for (let end = resource.length; depth > 0; depth--, end = resource.lastIndexOf('/', end - 1)) {
    if ((depths & (1 << depth)) === 0) continue;
    const deepest = nodes.get(end === resource.length ? resource : resource.slice(0, end));
    if (deepest === undefined) continue;
    for (let node = deepest; node !== 0; node = parents[node & NODE_MASK] as number) {
      chain[node >>> DEPTH_SHIFT] = node;
    }
    break;
  }
  return chain;
}

function bySubject(bindings: Iterable<Binding>): ReadonlyMap<string, readonly Binding[]> {
  const lists = new Map<string, Binding[]>();
  for (const binding of bindings) {
    const list = lists.get(binding.subject);
    if (list === undefined) lists.set(binding.subject, [binding]);
    else list.push(binding);
  }
  return lists;
}
