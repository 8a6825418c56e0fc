/** Lets work in as long as its total weight stays within `capacity`; the rest waits in line. */
export interface Gate {
  /** Runs `work` when there is room. What weighs more than everything that fits runs alone. */
  run<Result>(weight: number, work: () => Promise<Result>): Promise<Result>;
}

export function createGate(capacity: number): Gate {
  let inside = 0;
  const waiting: { readonly weight: number; readonly enter: () => void }[] = [];
  const admit = (): void => {
    // Strictly in order: a heavy one must not wait for ever behind light ones.
    for (let first = waiting[0]; first && inside + first.weight <= capacity; first = waiting[0]) {
      waiting.shift();
      inside += first.weight;
      first.enter();
    }
  };
  return {
    async run(weight, work) {
      const share = Math.min(weight, capacity);
      await new Promise<void>((resolve) => {
        waiting.push({ weight: share, enter: resolve });
        admit();
      });
      try {
        return await work();
      } finally {
        inside -= share;
        admit();
      }
    },
  };
}
