import type { Policy, PolicyChange } from './policy.ts';

/** Where the policy is kept. */
export interface AccessStore {
  /** The whole policy, as of one moment. Roles, groups and bindings come in the order of their ids. */
  load(): Promise<Policy>;
  /** The current revision; cheap. */
  revision(): Promise<number>;
  /**
   * Applies all changes or none, if the revision is still `expected`. Resolves when they are durable, to the new
   * revision (one more). Rejects with `access.conflict` if the revision has moved on. Changes are applied in order and
   * are not checked for meaning: deleting what is not there does nothing, `put_role` replaces the role of that id.
   */
  apply(expected: number, changes: readonly PolicyChange[]): Promise<number>;
}
