import type { Command } from 'commander';
import { generateIdentity } from '../crypto/age/keys.ts';
import { transformFile } from '../crypto/engine/transfer.ts';
import { generateFernetKey } from '../crypto/fernet/fernet.ts';
import { example } from './example.ts';
import { usage } from './failure.ts';
import { type EncryptionIo, isStream, outputOf } from './file-encryption-transfer.ts';
import { readIdentities } from './key-files.ts';

/** `keygen`, with the flags of age-keygen. */
export function addKeygenCommand(program: Command, io: EncryptionIo): void {
  program
    .command('keygen')
    .description('make a key pair for encrypt and decrypt')
    .argument('[input]', 'with -y: the identity file; stdin if absent or "-"')
    .option('-o, --output <file>', 'write the secret key to the file, readable by you alone')
    .option('-y, --convert', 'print the recipients of an identity file')
    .option(
      '--pq',
      'make a post-quantum key pair (ML-KEM-768 with X25519); its recipients do not mix with others',
    )
    .option('--fernet', 'make a Fernet key')
    .addHelpText('after', example('modelkeep keygen -o key.txt', 'modelkeep keygen -y key.txt'))
    .action((input: string | undefined, options: KeygenOptions) => keygen(input, options, io));
}

interface KeygenOptions {
  readonly output?: string;
  readonly convert?: boolean;
  readonly pq?: boolean;
  readonly fernet?: boolean;
}

async function keygen(input: string | undefined, options: KeygenOptions, io: EncryptionIo): Promise<void> {
  if (options.convert === true) {
    if (options.pq === true) throw usage('--pq makes a key: -y reads one');
    if (options.fernet === true) throw usage('a Fernet key has no recipient: -y is for age identities');
    const keys = await readIdentities([input ?? '-'], io);
    const text = keys.map(({ recipient }) => `${recipient}\n`).join('');
    await transformFile({ input: textStream(text), output: outputOf(options.output, io) }, unguarded);
    return;
  }
  if (input !== undefined) throw usage('keygen reads a file only with -y');
  const postQuantum = options.pq === true;
  if (postQuantum && options.fernet === true) throw usage('give --pq or --fernet, not both');
  const key = options.fernet === true ? fernetKeyFile() : identityFile(io.clock.now(), postQuantum);
  await transformFile({ input: textStream(key.text), output: outputOf(options.output, io) }, unguarded);
  const inFile = !isStream(options.output) || !io.stdoutIsTerminal;
  if (key.recipient !== undefined && inFile) io.stderr.write(`Public key: ${key.recipient}\n`);
}

function identityFile(now: number, postQuantum: boolean): { text: string; recipient: string } {
  const { identity, recipient } = generateIdentity({ postQuantum });
  const created = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return { text: `# created: ${created}\n# public key: ${recipient}\n${identity}\n`, recipient };
}

function fernetKeyFile(): { text: string; recipient?: never } {
  return { text: `${generateFernetKey().reveal()}\n` };
}

async function* textStream(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

function unguarded(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return source;
}
