/**
 * `npm test`: all tests that need npm alone, in two processes side by side, each without isolation, which is fast and proves
 * that no module holds state. `npm run test:isolated` gives each file a process of its own.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const FILES = ['src/**/*.test.ts', 'test/*.test.ts', 'test/oracle/*.test.ts', 'examples/**/*.test.ts'];
const SHARDS = 2;
/** Tests start hundreds of threads and processes; without it each would compile the same modules again. */
const COMPILE_CACHE = join(import.meta.dirname, '..', 'node_modules', '.cache', 'compile');
const CLOSING = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/;

const shards = await Promise.all(Array.from({ length: SHARDS }, (_, at) => run(at + 1)));
const sum = (part: number): number => shards.reduce((total, { counts }) => total + (counts[part] ?? 0), 0);
const skipped = sum(2);
process.stdout.write(`\n${sum(0)} passed, ${sum(1)} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
if (shards.some(({ code, counts }) => code !== 0 || counts.length === 0)) process.exitCode = 1;

/** Prints what a shard says when it has ended, so that the two do not mix. */
function run(shard: number): Promise<{ readonly code: number | null; readonly counts: readonly number[] }> {
  const child = spawn(
    process.execPath,
    [
      '--test',
      '--test-isolation=none',
      `--test-shard=${shard}/${SHARDS}`,
      '--test-reporter=./scripts/reporter.ts',
      ...FILES,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE } },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      const lines = output.trimEnd().split('\n');
      const closing = CLOSING.exec(lines.at(-1) ?? '');
      process.stdout.write(`${lines.slice(0, closing ? -1 : undefined).join('\n')}\n`);
      resolve({ code, counts: (closing?.slice(1) ?? []).map((text) => Number(text ?? 0)) });
    });
  });
}
