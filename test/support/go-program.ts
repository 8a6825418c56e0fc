import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Builds the Go program in a folder of `test/interop` to the file `program`. Returns why it cannot be built here: no Go, or no
 * module proxy; undefined if it was. Rejects if it does not compile.
 */
export async function buildGoProgram(folder: string, program: string): Promise<string | undefined> {
  try {
    await run('go', ['version']);
  } catch {
    return 'go is not installed; apt-get install golang';
  }
  const directory = join(import.meta.dirname, '..', 'interop', folder);
  try {
    await run('go', ['mod', 'download'], { cwd: directory });
  } catch (error) {
    return `the Go module proxy cannot be reached: ${(error as Error).message}`;
  }
  await run('go', ['build', '-o', program, '.'], { cwd: directory });
  return undefined;
}
