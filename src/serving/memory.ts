import { readFileSync } from 'node:fs';

// The unit of /proc/<pid>/statm. 4 KiB everywhere but on some arm64 kernels, where the limit is then the stricter one.
const PAGE_BYTES = 4096;

/** Resident bytes of a process, or undefined where there is no /proc or no such process. */
export function residentBytes(pid: number): number | undefined {
  try {
    // Synchronous on purpose: procfs does not block, and the thread pool may be busy for long.
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    return pages > 0 ? pages * PAGE_BYTES : undefined;
  } catch {
    return undefined;
  }
}
