import cliProgress from 'cli-progress';
import type { Command } from 'commander';
import { decryptStream, encryptStream, type Sealing } from '../crypto/age/age.ts';
import { generateIdentity, parseRecipient } from '../crypto/age/keys.ts';
import {
  createFernet,
  type Fernet,
  generateFernetKey,
  PLAINTEXT_BYTES_MAX,
} from '../crypto/fernet/fernet.ts';
import { type FileTransfer, transformFile } from '../crypto/engine/files.ts';
import { cryptoProblems } from '../crypto/problems.ts';
import { isProblem } from '../kernel/problem.ts';
import type { Secret } from '../kernel/secret.ts';
import { example } from './example.ts';
import { CliFailure, usage } from './failure.ts';
import type { CliIo } from './io.ts';
import { readFernetKeys, readIdentities, readPassphraseFile, readRecipients } from './key-files.ts';

/** What encryption commands need of the process. */
export type EncryptionIo = Pick<
  CliIo,
  'stdin' | 'stdout' | 'stderr' | 'stdoutIsTerminal' | 'stderrIsTerminal' | 'clock' | 'prompt' | 'interrupted'
>;

/** `encrypt`, `decrypt` and `keygen`, with the flags of age and age-keygen. They need no keep and no server. */
export function addEncryptionCommands(program: Command, io: EncryptionIo): void {
  program
    .command('encrypt')
    .description('encrypt a file or a pipe in the age format')
    .argument('[input]', 'file to encrypt; stdin if absent or "-"')
    .option('-r, --recipient <recipient>', 'encrypt to the recipient age1…; may be repeated', append)
    .option('-R, --recipients-file <file>', 'encrypt to the recipients in the file; may be repeated', append)
    .option('-i, --identity <file>', 'encrypt to the recipients of an identity file; may be repeated', append)
    .option('-p, --passphrase', 'encrypt with a passphrase, asked for on the terminal')
    .option('--passphrase-file <file>', 'encrypt with the passphrase in the file')
    .option('-a, --armor', 'write text (PEM) instead of binary')
    .option('-o, --output <file>', 'write to the file; stdout if absent or "-"')
    .option('-f, --force', 'overwrite the output file')
    .option('--fernet', 'write a Fernet token instead; for data up to 64 MiB')
    .option('--key-file <file>', 'the Fernet key, as "keygen --fernet" makes it')
    .addHelpText('after', example('modelkeep encrypt -r age1… -o model.onnx.age model.onnx'))
    .action((input: string | undefined, options: EncryptOptions) => encrypt(input, options, io));
  program
    .command('decrypt')
    .description('decrypt an age file, armored or not, or a Fernet token')
    .argument('[input]', 'file to decrypt; stdin if absent or "-"')
    .option('-i, --identity <file>', 'an identity file; may be repeated', append)
    .option(
      '--passphrase-file <file>',
      'the passphrase is in the file; otherwise it is asked for when needed',
    )
    .option('-o, --output <file>', 'write to the file; stdout if absent or "-"')
    .option('-f, --force', 'overwrite the output file')
    .option('--fernet', 'the input is a Fernet token')
    .option('--key-file <file>', 'Fernet keys, one a line')
    .option('--ttl <seconds>', 'refuse a Fernet token older than this')
    .addHelpText('after', example('modelkeep decrypt -i key.txt -o model.onnx model.onnx.age'))
    .action((input: string | undefined, options: DecryptOptions) => decrypt(input, options, io));
  program
    .command('keygen')
    .description('make a key pair for encrypt and decrypt')
    .argument('[input]', 'with -y: the identity file; stdin if absent or "-"')
    .option('-o, --output <file>', 'write the secret key to the file, readable by you alone')
    .option('-y, --convert', 'print the recipients of an identity file')
    .option('--fernet', 'make a Fernet key')
    .addHelpText('after', example('modelkeep keygen -o key.txt', 'modelkeep keygen -y key.txt'))
    .action((input: string | undefined, options: KeygenOptions) => keygen(input, options, io));
}

interface EncryptOptions extends OutputOptions, FernetOptions {
  readonly recipient?: readonly string[];
  readonly recipientsFile?: readonly string[];
  readonly identity?: readonly string[];
  readonly passphrase?: boolean;
  readonly passphraseFile?: string;
  readonly armor?: boolean;
}

interface DecryptOptions extends OutputOptions, FernetOptions {
  readonly identity?: readonly string[];
  readonly passphraseFile?: string;
  readonly ttl?: string;
}

interface KeygenOptions {
  readonly output?: string;
  readonly convert?: boolean;
  readonly fernet?: boolean;
}

interface OutputOptions {
  readonly output?: string;
  readonly force?: boolean;
}

interface FernetOptions {
  readonly fernet?: boolean;
  readonly keyFile?: string;
}

async function encrypt(input: string | undefined, options: EncryptOptions, io: EncryptionIo): Promise<void> {
  const { recipientsFile = [], identity = [], passphraseFile = [] } = options;
  checkStdin([input ?? '-', recipientsFile, identity, passphraseFile, options.keyFile ?? []]);
  checkFernet(options, ['recipient', 'recipientsFile', 'identity', 'passphrase', 'passphraseFile', 'armor']);
  if (options.fernet === true) {
    const fernet = await openFernet(options, io);
    const newline = io.stdoutIsTerminal && isStdout(options.output);
    await transfer(input, options, io, (source) => sealFernet(fernet, source, newline));
    return;
  }
  if (io.stdoutIsTerminal && isStdout(options.output) && options.armor !== true) {
    throw new CliFailure('binary data is not written to a terminal', {
      hint: 'name a file with -o, or write text with -a',
    });
  }
  const sealing = await sealingOf(options, io);
  const armor = options.armor === true;
  await transfer(input, options, io, (source) => encryptStream(source, { ...sealing, armor }));
}

async function decrypt(input: string | undefined, options: DecryptOptions, io: EncryptionIo): Promise<void> {
  const { identity = [], passphraseFile } = options;
  checkStdin([input ?? '-', identity, passphraseFile ?? [], options.keyFile ?? []]);
  checkFernet(options, ['identity', 'passphraseFile']);
  const guard = io.stdoutIsTerminal && isStdout(options.output) ? onlyText : unguarded;
  if (options.fernet === true) {
    const ttl = options.ttl === undefined ? undefined : parseSeconds(options.ttl);
    const fernet = await openFernet(options, io);
    await transfer(input, options, io, (source) => guard(openFernetToken(fernet, source, ttl)));
    return;
  }
  if (options.ttl !== undefined) throw usage('--ttl is for --fernet');
  const identities = (await readIdentities(identity, io)).map((key) => key.identity.reveal());
  const given = passphraseFile === undefined ? undefined : await readPassphraseFile(passphraseFile, io);
  // With identity files named, nobody waits at the terminal for a question.
  const ask = identity.length > 0 ? undefined : () => askPassphrase(io, 'passphrase');
  const passphrase = given ? () => Promise.resolve(given) : ask;
  const opening = { identities, ...(passphrase && { passphrase }) };
  await transfer(input, options, io, (source) => guard(decryptStream(source, opening))).catch(
    (error: unknown) => {
      if (!isProblem(error, cryptoProblems.no_matching_key) || identity.length > 0 || given) throw error;
      throw new CliFailure(error.detail, { hint: 'name the identity file with -i', cause: error });
    },
  );
}

async function keygen(input: string | undefined, options: KeygenOptions, io: EncryptionIo): Promise<void> {
  if (options.convert === true) {
    if (options.fernet === true) throw usage('a Fernet key has no recipient: -y is for age identities');
    const keys = await readIdentities([input ?? '-'], io);
    const text = keys.map(({ recipient }) => `${recipient}\n`).join('');
    await transformFile({ input: textStream(text), output: outputOf(options.output, io) }, unguarded);
    return;
  }
  if (input !== undefined) throw usage('keygen reads a file only with -y');
  const key = options.fernet === true ? fernetKeyFile() : identityFile(io.clock.now());
  await transformFile({ input: textStream(key.text), output: outputOf(options.output, io) }, unguarded);
  const inFile = !isStdout(options.output) || !io.stdoutIsTerminal;
  if (key.recipient !== undefined && inFile) io.stderr.write(`Public key: ${key.recipient}\n`);
}

function identityFile(now: number): { text: string; recipient: string } {
  const { identity, recipient } = generateIdentity();
  const created = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
  return { text: `# created: ${created}\n# public key: ${recipient}\n${identity}\n`, recipient };
}

function fernetKeyFile(): { text: string; recipient?: never } {
  return { text: `${generateFernetKey().reveal()}\n` };
}

async function sealingOf(options: EncryptOptions, io: EncryptionIo): Promise<Sealing> {
  const { recipient = [], recipientsFile = [], identity = [], passphraseFile } = options;
  const withKeys = recipient.length + recipientsFile.length + identity.length > 0;
  if (options.passphrase === true || passphraseFile !== undefined) {
    if (withKeys)
      throw usage('a passphrase cannot be combined with recipients', 'encrypt twice, or choose one');
    if (options.passphrase === true && passphraseFile !== undefined)
      throw usage('give -p or --passphrase-file, not both');
    const passphrase =
      passphraseFile === undefined ? await newPassphrase(io) : await readPassphraseFile(passphraseFile, io);
    return { passphrase };
  }
  if (!withKeys)
    throw usage('no recipient is given', 'name one with -r, -R or -i, or use a passphrase with -p');
  for (const text of recipient) parseRecipient(text);
  const ownRecipients = (await readIdentities(identity, io)).map((key) => key.recipient);
  return { recipients: [...recipient, ...(await readRecipients(recipientsFile, io)), ...ownRecipients] };
}

async function newPassphrase(io: EncryptionIo): Promise<Secret<string>> {
  const passphrase = await askPassphrase(io, 'new passphrase');
  if (passphrase.reveal() === '') throw new CliFailure('the passphrase is empty');
  const again = await askPassphrase(io, 'once more');
  if (passphrase.reveal() !== again.reveal()) throw new CliFailure('the two passphrases differ');
  return passphrase;
}

function askPassphrase({ prompt }: EncryptionIo, question: string): Promise<Secret<string>> {
  if (prompt) return prompt.password(question);
  throw usage('there is no terminal to ask for the passphrase on', 'use --passphrase-file FILE');
}

async function openFernet({ keyFile }: FernetOptions, io: EncryptionIo): Promise<Fernet> {
  if (keyFile === undefined)
    throw usage('--fernet needs --key-file', 'make a key with: keygen --fernet -o FILE');
  return createFernet({ keys: await readFernetKeys(keyFile, io), clock: io.clock });
}

async function* sealFernet(
  fernet: Fernet,
  source: AsyncIterable<Uint8Array>,
  newline: boolean,
): AsyncGenerator<Uint8Array> {
  const plaintext = await collect(source, PLAINTEXT_BYTES_MAX);
  yield Buffer.from(fernet.encrypt(plaintext));
  if (newline) yield Buffer.from('\n');
}

async function* openFernetToken(
  fernet: Fernet,
  source: AsyncIterable<Uint8Array>,
  ttl: number | undefined,
): AsyncGenerator<Uint8Array> {
  // Half as much again is more than base64 and the token's frame add; the exact limit is Fernet's to check.
  const token = (await collect(source, PLAINTEXT_BYTES_MAX * 1.5)).toString('latin1').replace(/\r?\n$/, '');
  yield fernet.decrypt(token, ttl === undefined ? {} : { ttl });
}

async function collect(source: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of source) {
    bytes += piece.length;
    if (bytes > bytesMax) {
      throw cryptoProblems.too_large(
        'the input is too large for a Fernet token; leave out --fernet for the age format',
      );
    }
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

type Transform = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

async function transfer(
  input: string | undefined,
  options: OutputOptions,
  io: EncryptionIo,
  transform: Transform,
): Promise<void> {
  const output = outputOf(options.output, io);
  const progress = createProgress(io, output !== io.stdout || !io.stdoutIsTerminal);
  try {
    await transformFile(
      {
        input: input === undefined || input === '-' ? io.stdin : input,
        output,
        force: options.force === true,
        signal: io.interrupted,
        onProgress: progress.show,
      },
      transform,
    );
  } catch (error) {
    if (io.interrupted.aborted) throw new CliFailure('interrupted', { cause: error });
    if (!isProblem(error, cryptoProblems.output_exists)) throw error;
    throw new CliFailure(error.detail, {
      hint: 'choose another name, or overwrite it with --force',
      cause: error,
    });
  } finally {
    progress.stop();
  }
}

/** Below this a bar would only flicker. */
const PROGRESS_BYTES_MIN = 8 * 1024 * 1024;
const MEBIBYTE = 1024 * 1024;

function createProgress(
  io: EncryptionIo,
  wanted: boolean,
): { show: NonNullable<FileTransfer['onProgress']>; stop(): void } {
  let bar: InstanceType<typeof cliProgress.SingleBar> | undefined;
  return {
    show(done, total) {
      if (!wanted || !io.stderrIsTerminal || total === undefined || total < PROGRESS_BYTES_MIN) return;
      if (!bar) {
        const format = '{bar} {percentage}% of {total} MiB, {eta_formatted} left';
        bar = new cliProgress.SingleBar({ stream: io.stderr, format, clearOnComplete: true });
        bar.start(Math.ceil(total / MEBIBYTE), 0);
      }
      bar.update(Math.floor(done / MEBIBYTE));
    },
    stop: () => bar?.stop(),
  };
}

/** Refuses control characters: they would garble the terminal, or drive it. */
async function* onlyText(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of source) {
    if (
      piece.some((byte) => (byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) || byte === 0x7f)
    ) {
      throw new CliFailure('the decrypted data is binary and is not written to a terminal', {
        hint: 'name a file with -o, or redirect the output',
      });
    }
    yield piece;
  }
}

function unguarded(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return source;
}

function outputOf(output: string | undefined, io: EncryptionIo): FileTransfer['output'] {
  return output === undefined || output === '-' ? io.stdout : output;
}

function isStdout(output: string | undefined): boolean {
  return output === undefined || output === '-';
}

async function* textStream(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

function checkStdin(paths: readonly (string | readonly string[])[]): void {
  if (paths.flat().filter((path) => path === '-').length > 1)
    throw usage('stdin can be used for one thing only');
}

function checkFernet<Options extends FernetOptions>(
  options: Options,
  ageOnly: readonly (keyof Options & string)[],
): void {
  if (options.fernet !== true) {
    if (options.keyFile !== undefined) throw usage('--key-file is for --fernet');
    return;
  }
  const given = ageOnly.find((name) => options[name] !== undefined);
  if (given !== undefined) {
    throw usage(`--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} is not for --fernet`);
  }
}

function parseSeconds(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw usage('--ttl is a whole number of seconds');
  return Number(text);
}

function append(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
