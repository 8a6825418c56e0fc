import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';

export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}/statm`);
}

/** Waits for something that the kernel does in its own time. */
export async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!holds()) {
    assert.ok(performance.now() < end, 'it did not come about within 5 s');
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, 5);
    await promise;
  }
}
