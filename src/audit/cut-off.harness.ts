import assert from 'node:assert/strict';
import { createLogWriter, type LogWriter } from './log-files.ts';

/** Does `work` on copies, each cut off one write later than the one before, until it comes through; how many there are. */
export async function cutOffEach(
  copyOf: () => string,
  work: (directory: string, files: LogWriter) => void,
  check: (directory: string) => Promise<void>,
): Promise<number> {
  for (let at = 0; ; at++) {
    const copy = copyOf();
    let isCut = false;
    try {
      work(
        copy,
        failingAt(copy, at, () => {
          isCut = true;
        }),
      );
    } catch (error) {
      assert.match(String(error), /the power is gone/);
    }
    await check(copy);
    if (!isCut) return at;
  }
}

function failingAt(directory: string, at: number, onCut: () => void): LogWriter {
  const files = createLogWriter(directory);
  let done = 0;
  const step = (work: () => void): void => {
    if (done++ < at) return work();
    onCut();
    throw new Error('the power is gone');
  };
  return {
    put: (file, bytes) => step(() => files.put(file, bytes)),
    settle: () => step(() => files.settle()),
    remove: (file) => step(() => files.remove(file)),
  };
}
