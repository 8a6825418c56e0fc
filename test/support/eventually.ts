import { setTimeout } from 'node:timers/promises';

/** What `look` finds, as soon as it finds something: for what happens in the background. Throws after `msMax`. */
export async function eventually<T>(
  look: () => T | undefined | Promise<T | undefined>,
  msMax = 10_000,
): Promise<T> {
  const end = performance.now() + msMax;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) throw new Error(`not within ${msMax} ms`);
    await setTimeout(5);
  }
}
