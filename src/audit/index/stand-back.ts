import { readlinkSync } from 'node:fs';
import { constants, getPriority, setPriority } from 'node:os';
import { basename } from 'node:path';

/**
 * Leaves the processor to other threads of the process where there is not enough for all. Only Linux has a priority for each thread,
 * and names the thread; elsewhere this does nothing. Returns the priority as it is then.
 */
export function standBack(): number {
  try {
    const thread = Number(basename(readlinkSync('/proc/thread-self')));
    setPriority(thread, Math.max(getPriority(thread), constants.priority.PRIORITY_BELOW_NORMAL));
    return getPriority(thread);
  } catch {
    return getPriority();
  }
}
