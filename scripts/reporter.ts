import { spec } from 'node:test/reporters';
import type { TestEvent } from 'node:test/reporters';

/** The spec reporter, closed by one plain line: `N passed, N failed`. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncIterable<string> {
  const written = new spec();
  const pending: string[] = [];
  written.on('data', (text: Buffer | string) => pending.push(String(text)));
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for await (const event of source) {
    if (event.type === 'test:pass' && event.data.details.type !== 'suite') {
      if (event.data.skip === undefined) passed++;
      else skipped++;
    }
    if (event.type === 'test:fail' && event.data.details.type !== 'suite') failed++;
    written.write(event);
    yield* pending.splice(0);
  }
  const ended = new Promise((resolve) => written.once('end', resolve));
  written.end();
  await ended;
  yield* pending.splice(0);
  yield `\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`;
}
