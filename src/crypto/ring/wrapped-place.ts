/**
 * A place that holds material under ring keys: rows, files or documents that each name a key version. Every such place
 * is registered with the key service, or a rotation would leave it behind.
 */
export interface WrappedPlace {
  /** What lies there, as a person says it: `artifact headers`. */
  readonly name: string;
  /**
   * What `rewrap` does here. `rewrap`: another version of the key opens the same data key. `reseal`: the values are small
   * and are encrypted anew. `on-use`: the keep cannot do it alone (a MAC of a secret that only its owner has), and moves
   * an item when it is next presented.
   */
  readonly rewrapping: 'rewrap' | 'reseal' | 'on-use';
  /** How many items name each version of a key. Counts, not estimates; keys and versions without items are left out. */
  usage(): Promise<readonly KeyUsage[]>;
  /**
   * Moves up to `limit` items of `key` that another version than its active one holds, in one durable step. `moved: 0`
   * means that none is left that it can move; those it cannot are in `failures`, by name. A second run goes on where the
   * first was killed. Absent where `rewrapping` is `on-use`.
   */
  rewrap?(key: string, limit: number): Promise<MoveResult>;
  /**
   * Encrypts up to `limit` items of `key` under new data keys, whatever their version was, if they were last encrypted
   * before `since` (milliseconds since 1970). Same result and same resumption as `rewrap`.
   */
  reencrypt?(key: string, since: number, limit: number): Promise<MoveResult>;
}

export interface KeyUsage {
  readonly key: string;
  readonly version: number;
  readonly items: number;
}

export interface MoveResult {
  readonly moved: number;
  /** Items that could not be moved, by name, with a reason fit for an operator. */
  readonly failures: readonly { readonly item: string; readonly reason: string }[];
}
