import { open } from 'node:fs/promises';
import type { Secret } from '../kernel/secret.ts';
import { usage } from './failure.ts';
import type { CliIo } from './io.ts';

export interface SecretSink {
  readonly output?: string | undefined;
  readonly showSecret?: boolean | undefined;
}

/** Where a secret that is shown once will go. */
export interface SecretOutlet {
  /** Writes the file, when there is one. Returns the text to print, or undefined when a file took it. */
  deliver(secret: Secret<string>): Promise<string | undefined>;
  /** Leaves nothing behind when no secret came to be. */
  abandon(): Promise<void>;
}

/**
 * Decides before anything is made where its secret will go, and refuses when it would end in a pipe or log unasked.
 * A file is created now, 0600, and never an existing one: a secret that cannot be written would be lost.
 */
export async function openSecretOutlet(io: CliIo, sink: SecretSink, what: string): Promise<SecretOutlet> {
  const { output } = sink;
  if (output === undefined) {
    if (!io.stdoutIsTerminal && sink.showSecret !== true) {
      throw usage(
        `the ${what} would be printed into a pipe`,
        'write it to a file with -o FILE, or add --show-secret if the pipe is meant to read it',
      );
    }
    return { deliver: (secret) => Promise.resolve(secret.reveal()), abandon: () => Promise.resolve() };
  }
  const file = await open(output, 'wx', 0o600);
  return {
    async deliver(secret) {
      await file.writeFile(`${secret.reveal()}\n`);
      await file.sync();
      await file.close();
      return undefined;
    },
    async abandon() {
      const { unlink } = await import('node:fs/promises');
      await file.close();
      await unlink(output);
    },
  };
}
