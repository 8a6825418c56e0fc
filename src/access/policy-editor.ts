import { isProblem } from '../kernel/problem.ts';
import type { PolicyChange } from './policy.ts';
import { applyChanges, createPolicyIndex, type PolicyIndex } from './policy-index.ts';
import { accessProblems } from './problems.ts';
import type { AccessStore } from './store.ts';

/** Keeps the index in step with the store. */
export interface PolicyEditor {
  readonly index: () => PolicyIndex;
  /**
   * Plans a change against the current policy and makes it durable; decisions see it when the promise resolves. Plans
   * run one after another. When another replica was faster, the plan runs again on the policy as it then is.
   */
  change<T>(plan: (index: PolicyIndex) => Plan<T>): Promise<T>;
  /** Reads the policy anew: all of it, if its revision has moved. */
  reload(): Promise<void>;
}

interface Plan<T> {
  readonly changes: readonly PolicyChange[];
  readonly result: T;
}

const ATTEMPTS_MAX = 4;

export async function createPolicyEditor(store: AccessStore): Promise<PolicyEditor> {
  let index = createPolicyIndex(await store.load());
  let last: Promise<unknown> = Promise.resolve();

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work);
    last = turn;
    return turn;
  }

  async function reload(): Promise<void> {
    if ((await store.revision()) !== index.revision) index = createPolicyIndex(await store.load());
  }

  async function attempt<T>(plan: (index: PolicyIndex) => Plan<T>, left: number): Promise<T> {
    const { changes, result } = plan(index);
    if (changes.length === 0) return result;
    try {
      const revision = await store.apply(index.revision, changes);
      applyChanges(index, changes, revision);
      return result;
    } catch (error) {
      if (left === 0 || !isProblem(error, accessProblems.conflict)) throw error;
      await reload();
      return attempt(plan, left - 1);
    }
  }

  return {
    index: () => index,
    change: (plan) => inTurn(() => attempt(plan, ATTEMPTS_MAX - 1)),
    reload: () => inTurn(reload),
  };
}
