import type { LocalFunction, OnnxModel, OperatorUse } from './model.ts';

/** Runtimes replace a call of a local function by its body, so a short file can stand for an endless graph. */
export const expandedNodesMax = 10_000_000;

/** Longest chain of functions that call each other. */
const CHAIN_MAX = 64;

/** Nodes of the graph after all local functions have been replaced; Infinity if one contains itself. */
export function expandedNodes({ functions, operators }: Pick<OnnxModel, 'functions' | 'operators'>): number {
  const bodies = Map.groupBy(functions, operatorKey); // overloads share a key
  const sizes = new Map<string, number>();

  function sizeOf(uses: readonly OperatorUse[], depth: number): number {
    let total = 0;
    for (const use of uses) {
      const overloads = bodies.get(operatorKey(use));
      total += use.count * (overloads === undefined ? 1 : largest(operatorKey(use), overloads, depth + 1));
      if (total > expandedNodesMax) return Number.POSITIVE_INFINITY;
    }
    return total;
  }

  function largest(key: string, overloads: readonly LocalFunction[], depth: number): number {
    const known = sizes.get(key);
    if (known !== undefined) return known;
    if (depth > CHAIN_MAX) return Number.POSITIVE_INFINITY; // a cycle, or a chain that no exporter writes
    const size = overloads.reduce((most, local) => Math.max(most, sizeOf(local.operators, depth)), 0);
    sizes.set(key, size);
    return size;
  }

  return sizeOf(operators, 0);
}

/** One text for (domain, name), whatever characters they hold. */
export function operatorKey({ domain, name }: { readonly domain: string; readonly name: string }): string {
  return JSON.stringify([domain, name]);
}
