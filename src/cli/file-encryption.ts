import type { Command } from 'commander';
import { decryptStream } from '../crypto/age/age.ts';
import type { Opening, Sealing } from '../crypto/age/file-key.ts';
import { parseRecipient } from '../crypto/age/keys.ts';
import { decryptFile, encryptFile } from '../crypto/engine/files.ts';
import { transformFile } from '../crypto/engine/transfer.ts';
import { cryptoProblems } from '../crypto/problems.ts';
import { isProblem } from '../kernel/problem.ts';
import type { Secret } from '../kernel/secret.ts';
import { example } from './example.ts';
import { CliFailure, usage } from './failure.ts';
import {
  checkFernet,
  type FernetOptions,
  openFernet,
  openFernetToken,
  parseSeconds,
  sealFernet,
} from './file-encryption-fernet.ts';
import { addKeygenCommand } from './file-encryption-keygen.ts';
import {
  type EncryptionIo,
  isDirectory,
  isStream,
  type OutputOptions,
  transfer,
} from './file-encryption-transfer.ts';
import { readIdentities, readPassphraseFile, readRecipients } from './key-files.ts';

/** `encrypt`, `decrypt` and `keygen`, with the flags of age and age-keygen. They need no keep and no server. */
export function addEncryptionCommands(program: Command, io: EncryptionIo): void {
  program
    .command('encrypt')
    .description('encrypt a file, a pipe or a directory (as a tar archive) in the age format')
    .argument('[input]', 'file or directory to encrypt; stdin if absent or "-"')
    .option('-r, --recipient <recipient>', 'encrypt to the recipient age1…; may be repeated', append)
    .option('-R, --recipients-file <file>', 'encrypt to the recipients in the file; may be repeated', append)
    .option('-i, --identity <file>', 'encrypt to the recipients of an identity file; may be repeated', append)
    .option('-p, --passphrase', 'encrypt with a passphrase, asked for on the terminal')
    .option('--passphrase-file <file>', 'encrypt with the passphrase in the file')
    .option('-a, --armor', 'write text (PEM) instead of binary')
    .option('-o, --output <file>', 'write to the file; stdout if absent or "-"')
    .option('-f, --force', 'overwrite the output file')
    .option('--jobs <n>', 'threads to use (default: one a core, up to 4)')
    .option('--fernet', 'write a Fernet token instead; for data up to 64 MiB')
    .option('--key-file <file>', 'the Fernet key, as "keygen --fernet" makes it')
    .addHelpText(
      'after',
      example(
        'modelkeep encrypt -r age1… -o model.onnx.age model.onnx',
        'modelkeep encrypt -r age1… -o data.tar.age data/',
      ),
    )
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
    .option('--jobs <n>', 'threads to use (default: one a core, up to 4)')
    .option('-x, --extract', 'the decrypted data is a tar archive: unpack it to the directory of -C')
    .option(
      '-C, --directory <dir>',
      'with --extract: a directory that is not there yet; it appears when all is verified',
    )
    .option('--fernet', 'the input is a Fernet token')
    .option('--key-file <file>', 'Fernet keys, one a line')
    .option('--ttl <seconds>', 'refuse a Fernet token older than this')
    .addHelpText(
      'after',
      example(
        'modelkeep decrypt -i key.txt -o model.onnx model.onnx.age',
        'modelkeep decrypt -i key.txt --extract -C data data.tar.age',
      ),
    )
    .action((input: string | undefined, options: DecryptOptions) => decrypt(input, options, io));
  addKeygenCommand(program, io);
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
  readonly extract?: boolean;
  readonly directory?: string;
}

async function encrypt(input: string | undefined, options: EncryptOptions, io: EncryptionIo): Promise<void> {
  const { recipientsFile = [], identity = [], passphraseFile = [] } = options;
  checkStdin([input ?? '-', recipientsFile, identity, passphraseFile, options.keyFile ?? []]);
  checkFernet(options, ['recipient', 'recipientsFile', 'identity', 'passphrase', 'passphraseFile', 'armor']);
  if (options.fernet === true) {
    const fernet = await openFernet(options, io);
    const newline = io.stdoutIsTerminal && isStream(options.output);
    await transfer(input, options, io, (files) =>
      transformFile(files, (source) => sealFernet(fernet, source, newline)),
    );
    return;
  }
  if (io.stdoutIsTerminal && isStream(options.output) && options.armor !== true) {
    throw new CliFailure('binary data is not written to a terminal', {
      hint: 'name a file with -o, or write text with -a',
    });
  }
  const sealing = await sealingOf(options, io);
  const armor = options.armor === true;
  const directory = await isDirectory(input);
  await transfer(input, options, io, async (files) => {
    const { input: path } = files;
    if (!directory || typeof path !== 'string') return encryptFile({ ...files, ...sealing, armor });
    const { encryptDirectory } = await import('../crypto/engine/directories.ts');
    return encryptDirectory({ ...files, ...sealing, input: path, armor });
  });
}

async function decrypt(input: string | undefined, options: DecryptOptions, io: EncryptionIo): Promise<void> {
  const { identity = [], passphraseFile } = options;
  checkStdin([input ?? '-', identity, passphraseFile ?? [], options.keyFile ?? []]);
  checkFernet(options, ['identity', 'passphraseFile']);
  checkExtract(options);
  const toTerminal = io.stdoutIsTerminal && isStream(options.output);
  if (options.fernet === true) {
    const ttl = options.ttl === undefined ? undefined : parseSeconds(options.ttl);
    const fernet = await openFernet(options, io);
    await transfer(input, options, io, (files) =>
      transformFile(files, (source) => {
        const plaintext = openFernetToken(fernet, source, ttl);
        return toTerminal ? onlyText(plaintext) : plaintext;
      }),
    );
    return;
  }
  if (options.ttl !== undefined) throw usage('--ttl is for --fernet');
  const identities = (await readIdentities(identity, io)).map((key) => key.identity.reveal());
  const given = passphraseFile === undefined ? undefined : await readPassphraseFile(passphraseFile, io);
  // With identity files named, nobody waits at the terminal for a question.
  const ask = identity.length > 0 ? undefined : () => askPassphrase(io, 'passphrase');
  const passphrase = given ? () => Promise.resolve(given) : ask;
  const opening = { identities, ...(passphrase && { passphrase }) };
  try {
    if (options.extract === true) await extract(input, options, io, opening);
    else {
      await transfer(input, options, io, (files) =>
        toTerminal
          ? transformFile(files, (source) => onlyText(decryptStream(source, opening)))
          : decryptFile({ ...files, ...opening }),
      );
    }
  } catch (error) {
    if (!isProblem(error, cryptoProblems.no_matching_key) || identity.length > 0 || given) throw error;
    throw new CliFailure(error.detail, { hint: 'name the identity file with -i', cause: error });
  }
}

async function extract(
  input: string | undefined,
  options: DecryptOptions,
  io: EncryptionIo,
  opening: Opening,
): Promise<void> {
  const { directory = '', jobs } = options;
  const { decryptDirectory } = await import('../crypto/engine/directories.ts');
  const place = { output: directory, ...(jobs !== undefined && { jobs }) };
  await transfer(input, place, io, (files) =>
    decryptDirectory({ ...files, ...opening, output: directory }).catch((error: unknown) => {
      if (!isProblem(error, cryptoProblems.output_exists)) throw error;
      throw new CliFailure(error.detail, { hint: 'name a directory that is not there yet', cause: error });
    }),
  );
}

function checkExtract({ extract, directory, output, force, fernet }: DecryptOptions): void {
  if (extract !== true) {
    if (directory !== undefined) throw usage('-C is for --extract');
    return;
  }
  if (fernet === true) throw usage('--extract is not for --fernet');
  if (output !== undefined) throw usage('with --extract, name the directory with -C, and no -o');
  if (force === true) throw usage('--extract makes a new directory: it replaces none, not even with --force');
  if (isStream(directory) || directory === '') throw usage('--extract needs -C DIR, a directory to be made');
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

function checkStdin(paths: readonly (string | readonly string[])[]): void {
  if (paths.flat().filter((path) => path === '-').length > 1)
    throw usage('stdin can be used for one thing only');
}

function append(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}
