import { type ChildProcess, fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { dirname, extname } from 'node:path';
import { type Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { locateRuntime } from './runtime-location.ts';

/** `host.ts` where the sources run, `host.js` where they were built. */
const ENTRY = fileURLToPath(new URL(`./host${extname(import.meta.url)}`, import.meta.url));
const HEAP_MIB_MAX = 256;
const STDERR_MAX = 500;

/**
 * Forks a host in `folder` with an empty environment. Node's permission model keeps its JavaScript from files, processes
 * and the inspector; native code is not bound by it, which is why `folder` must be empty and the environment too.
 */
export function forkHost({
  folder,
  outputBytesMax,
}: {
  folder: string;
  outputBytesMax: number;
}): ChildProcess {
  const runtime = locateRuntime();
  const readable = [dirname(ENTRY), ...runtime.folders].map((path) => `--allow-fs-read=${path}`);
  const child = fork(ENTRY, [runtime.entry, String(outputBytesMax)], {
    cwd: folder,
    env: {},
    execArgv: [
      '--permission',
      '--allow-addons',
      '--allow-worker',
      ...readable,
      '--no-warnings',
      `--max-old-space-size=${HEAP_MIB_MAX}`,
    ],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'ipc'],
  });
  // When memory runs out, the kernel is to take a model and not the server.
  if (child.pid !== undefined) writeFile(`/proc/${child.pid}/oom_score_adj`, '1000').catch(() => {});
  return child;
}

/** Writes the artifact into pipe 3 once all of it has been read and found good. The pipe stays open: its end means our end. */
export async function feedArtifact(child: ChildProcess, artifact: AsyncIterable<Uint8Array>): Promise<void> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of artifact) chunks.push(chunk);
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(chunks.reduce((sum, chunk) => sum + chunk.length, 0)));
  const pipe = child.stdio[3];
  if (!(pipe instanceof Writable)) return;
  // A process that ends early breaks the pipe; its exit says why.
  pipe.on('error', () => {});
  for (const bytes of [length, ...chunks]) pipe.write(bytes);
}

/** The last words of the process, for the operator's log. */
export function stderrTail({ stderr }: { readonly stderr: Readable | null }): () => string {
  let tail = '';
  stderr?.setEncoding('utf8').on('data', (text: string) => {
    tail = (tail + text).slice(-STDERR_MAX);
  });
  return () => tail.trim();
}
