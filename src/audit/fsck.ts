import { availableParallelism } from 'node:os';
import type { Verification, VerificationProblem, VerificationProgress } from './audit-log.ts';
import type { Checkpoint } from './checkpoint.ts';
import { hashBlocks } from './fsck-blocks.ts';
import { readLogFile } from './log-files.ts';
import { NoteError } from './note.ts';
import { readBelow, readHeads, verification } from './verification.ts';
import { finish, NO_KEY, parseKeys, type TrustedKeys, type VerifierKeys } from './verify.ts';
import type { Policy } from './witness/policy.ts';
import { COSIGNED_FILE, openCosigned } from './witness/witnessing.ts';

export interface FsckOptions {
  /** A copy of `log/`. */
  readonly directory: string;
  readonly keys: VerifierKeys;
  /** Witnesses that must have cosigned a checkpoint of the log; the log keys in it count too. */
  readonly policy?: Policy;
  /** Threads that read and hash; default one for each core. */
  readonly workers?: number;
  readonly onProgress?: (progress: VerificationProgress) => void;
}

/**
 * As `verifyLog`, on all cores: threads look for blocks of entries that are good, and the one check that says what is
 * wrong with a log looks at all others itself.
 */
export async function fsckLog(options: FsckOptions): Promise<Verification> {
  const { directory, keys, policy, workers = availableParallelism() } = options;
  const trusted = parseKeys([keys].flat().concat(policy?.logs.map(({ vkey }) => vkey) ?? []));
  if (trusted === undefined) return NO_KEY;
  const { size = 0 } = readHeads(directory, trusted.verifiers, []).head ?? {};
  let furthest = 0;
  const onProgress = (progress: VerificationProgress): void => {
    if (progress.checked <= furthest) return;
    furthest = progress.checked;
    options.onProgress?.(progress);
  };
  const below = readBelow(directory, size, []);
  const good = workers > 1 ? await hashBlocks({ directory, size, below, workers, onProgress }) : undefined;
  const cosigned = policy === undefined ? {} : readCosigned(directory, policy, trusted, size);
  const steps = verification(directory, trusted.verifiers, {
    ...(good !== undefined && { good }),
    ...(cosigned.checkpoint !== undefined && { cosigned: cosigned.checkpoint }),
  });
  const result = await finish(steps, trusted, onProgress);
  if (cosigned.problem === undefined) return result;
  const { successors: _, ...rest } = result;
  return { ...rest, ok: false, problems: [...result.problems, cosigned.problem] };
}

/** The newest checkpoint with a quorum, or why there is none that fits. */
function readCosigned(
  directory: string,
  policy: Policy,
  { verifiers }: TrustedKeys,
  size: number,
): { readonly checkpoint?: Checkpoint; readonly problem?: VerificationProblem } {
  const problem = (message: string): VerificationProblem => ({
    kind: 'checkpoint',
    file: COSIGNED_FILE,
    message,
  });
  const text = (readLogFile(directory, COSIGNED_FILE) ?? readLogFile(directory, 'checkpoint'))?.toString();
  if (text === undefined) return { problem: problem('there is no checkpoint that witnesses have cosigned') };
  try {
    const checkpoint = openCosigned(text, policy, verifiers);
    if (checkpoint.size <= size) return { checkpoint };
    const message = `witnesses have cosigned ${checkpoint.size} entries, of which this copy signs ${size}`;
    return { problem: problem(message) };
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    return { problem: problem(`${COSIGNED_FILE}: ${error.message}`) };
  }
}
