/** Tells followers that the log has grown: each at most once per turn of the event loop. */
export interface Growth {
  grew(): void;
  /** Returns how to stop. */
  onGrowth(listener: () => void): () => void;
}

export function createGrowth(): Growth {
  const listeners = new Set<() => void>();
  let pending: NodeJS.Immediate | undefined;
  return {
    grew() {
      if (listeners.size === 0) return;
      pending ??= setImmediate(() => {
        pending = undefined;
        for (const listener of listeners) listener();
      });
    },
    onGrowth(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
