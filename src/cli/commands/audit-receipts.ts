import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { type Checkpoint, openCheckpoint } from '../../audit/checkpoint.ts';
import { NoteError, parseVerifierKey } from '../../audit/note.ts';
import { createProver, type Prover } from '../../audit/receipt/prover.ts';
import { type Nonces, parseNonces, parseReceipt } from '../../audit/receipt/receipt.ts';
import { createReceipts } from '../../audit/receipt/receipts.ts';
import { ReceiptError } from '../../audit/receipt/tlog-proof.ts';
import { type VerifiedReceipt, verifyReceipt } from '../../audit/receipt/verify-receipt.ts';
import { parsePolicy, type Policy } from '../../audit/witness/policy.ts';
import { EMPTY_ROOT, verifyConsistency } from '../../audit/tree.ts';
import { encodeBase64 } from '../../kernel/base64.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { CliFailure, EXIT, usage } from '../failure.ts';
import { printable } from '../table.ts';

/** Commands that need no server and no keep: files and a verifier key are enough. */
export function addAuditReceiptCommands(audit: Command, context: CommandContext): void {
  addVerifyReceipt(audit, context);
  addProve(audit, context);
  addConsistency(audit, context);
}

interface KeyOptions {
  readonly key: readonly string[];
  readonly keyFile?: string;
}

const collect = (value: string, all: readonly string[]): readonly string[] => [...all, value];
const KEY = ['--key <vkey>', 'a verifier key of the log; more than once if it has changed'] as const;
const KEY_FILE = ['--key-file <file>', 'a file that holds verifier keys, one a line'] as const;

interface VerifyOptions extends KeyOptions {
  readonly input?: string;
  readonly output?: string;
  readonly nonces?: string;
  readonly policy?: string;
}

function addVerifyReceipt(audit: Command, { output, exitWith }: CommandContext): void {
  audit
    .command('verify-receipt <file>')
    .description('check a receipt offline, and say what it proves; exit code 3 if it does not hold')
    .option(...KEY, collect, [])
    .option(...KEY_FILE)
    .option('--input <file>', 'the bytes that were sent')
    .option('--output <file>', 'the bytes that were answered')
    .option('--nonces <nonces>', 'the header Audit-Nonce of the answer, if the receipt does not hold it')
    .option('--policy <file>', 'a C2SP tlog-policy: its witnesses must have cosigned, its log keys count too')
    .action(async (file: string, options: VerifyOptions) => {
      const [receipt, policy, input, answer] = await Promise.all([
        readFile(file),
        options.policy === undefined ? undefined : policyIn(options.policy),
        options.input === undefined ? undefined : readFile(options.input),
        options.output === undefined ? undefined : readFile(options.output),
      ]);
      const named = policy?.logs.map(({ vkey }) => vkey) ?? [];
      const result = verifyReceipt({
        receipt,
        keys: await keysOf(options, named),
        ...(policy !== undefined && { policy }),
        ...(input !== undefined && { input }),
        ...(answer !== undefined && { output: answer }),
        ...(options.nonces !== undefined && { nonces: noncesOf(options.nonces) }),
      });
      if (!result.ok && result.fault === 'nonce')
        throw usage(result.reason, '--nonces takes the header Audit-Nonce of the answer');
      output.text(result, result.ok ? render(result) : `✗ refused: ${printable(result.reason)}\n`);
      if (!result.ok) exitWith(EXIT.verification);
    })
    .addHelpText(
      'after',
      example(
        'modelkeep audit verify-receipt 41.tlog-proof --key-file keep.vkey',
        'modelkeep audit verify-receipt 41.tlog-proof --key-file keep.vkey --input sent.json --output got.json',
      ),
    );
}

function render({ index, proven, unproven }: VerifiedReceipt): string {
  const list = (lines: readonly string[]): string => lines.map((line) => `  ${printable(line)}\n`).join('');
  return `✓ verified entry ${index}\nproven:\n${list(proven)}not proven:\n${list(unproven)}`;
}

function addProve(audit: Command, { output }: CommandContext): void {
  audit
    .command('prove')
    .description('make the receipt of an entry from a copy of log/')
    .requiredOption('--index <index>', 'which entry')
    .requiredOption('--dir <dir>', 'log/ of a keep, or a copy of it')
    .option(...KEY, collect, [])
    .option(...KEY_FILE)
    .option('-o, --output <file>', 'write it to a new file instead of stdout')
    .action(async (options: KeyOptions & { index: string; dir: string; output?: string }) => {
      const index = parseIndex(options.index, '--index');
      await requireDirectory(options.dir);
      const receipt = await createReceipts({ directory: options.dir }).read(index);
      const checked = options.key.length > 0 || options.keyFile !== undefined;
      if (checked) {
        const result = verifyReceipt({ receipt, keys: await keysOf(options) });
        if (!result.ok) throw new CliFailure(result.reason, { exitCode: EXIT.verification });
      }
      const { hashes, entry } = parseReceipt(receipt);
      const answer = {
        index,
        receipt,
        entry: Buffer.from(entry).toString(),
        hashes: hashes.map(encodeBase64),
      };
      if (options.output === undefined) {
        output.text(answer, receipt);
      } else {
        await writeFile(options.output, receipt, { flag: 'wx' });
        output.done({ index, file: options.output }, `wrote the receipt of entry ${index}`);
      }
      if (!checked) output.hint('the signature of the checkpoint was not checked: give --key');
    })
    .addHelpText(
      'after',
      example('modelkeep audit prove --index 41 --dir ./log-copy --key-file keep.vkey -o 41.tlog-proof'),
    );
}

function addConsistency(audit: Command, { output, exitWith }: CommandContext): void {
  audit
    .command('consistency <old> <new>')
    .description('check that the log only grew from one checkpoint to another; exit code 3 if it did not')
    .requiredOption('--dir <dir>', 'log/ of a keep, or a copy of it')
    .option(...KEY, collect, [])
    .option(...KEY_FILE)
    .action(async (oldName: string, newName: string, options: KeyOptions & { dir: string }) => {
      const keys = await keysOf(options);
      await requireDirectory(options.dir);
      const prover = createProver({ directory: options.dir });
      const result = await compare(oldName, newName, { keys, directory: options.dir, prover });
      const view = {
        consistent: result.reason === undefined,
        ...(result.reason !== undefined && { reason: result.reason }),
        old: result.older && headView(result.older),
        new: result.newer && headView(result.newer),
        proof: result.proof?.map(encodeBase64),
      };
      output.text(
        view,
        result.reason === undefined
          ? `✓ the ${result.newer?.size} entries begin with the ${result.older?.size}, unchanged\n`
          : `✗ not consistent: ${printable(result.reason)}\n`,
      );
      if (result.reason !== undefined) exitWith(EXIT.verification);
    })
    .addHelpText(
      'after',
      `
OLD and NEW are files that hold checkpoints, or sizes. A size stands for the tree of the tiles in DIR,
and must lead to the signed checkpoint there.
${example(
  'modelkeep audit consistency last-month.checkpoint ./log-copy/checkpoint --dir ./log-copy --key-file keep.vkey',
)}`,
    );
}

interface Comparing {
  readonly keys: readonly string[];
  readonly directory: string;
  readonly prover: Prover;
}

type Head = Pick<Checkpoint, 'size' | 'root'>;

interface Comparison {
  /** Why the two are not of one log; absent if they are. */
  readonly reason?: string;
  readonly older?: Head;
  readonly newer?: Head;
  readonly proof?: readonly Uint8Array[];
}

async function compare(oldName: string, newName: string, on: Comparing): Promise<Comparison> {
  try {
    const older = await headOf(oldName, on);
    const newer = await headOf(newName, on);
    if (older.size > newer.size)
      return { older, newer, reason: `it shrank from ${older.size} entries to ${newer.size}` };
    const proof = await proofBetween(older, newer, on.prover);
    return proof === undefined
      ? { older, newer, reason: `the first ${older.size} entries are not what they were` }
      : { older, newer, proof };
  } catch (error) {
    if (error instanceof NoteError) return { reason: error.message };
    throw error;
  }
}

/** Undefined if there is none. Every tree grew out of the empty one. */
async function proofBetween(
  older: Head,
  newer: Head,
  prover: Prover,
): Promise<readonly Uint8Array[] | undefined> {
  if (older.size === 0) return Buffer.compare(older.root, EMPTY_ROOT) === 0 ? [] : undefined;
  const proof = await prover.consistency(older.size, newer.size);
  return verifyConsistency(older.size, newer.size, older.root, newer.root, proof) ? proof : undefined;
}

async function headOf(name: string, { keys, directory, prover }: Comparing): Promise<Head> {
  if (!/^\d+$/.test(name)) return openSigned(await readFile(name, 'utf8'), keys);
  const size = parseIndex(name, 'a size');
  const signed = openSigned(await readFile(join(directory, 'checkpoint'), 'utf8'), keys);
  if (size > signed.size) throw usage(`the log in ${directory} has ${signed.size} entries, not ${size}`);
  const head = { size, root: await prover.root(size) };
  if ((await proofBetween(head, signed, prover)) === undefined)
    throw new NoteError(`the tiles of the first ${size} entries do not lead to the signed checkpoint`);
  return head;
}

/** Verifier keys, of which one of each kind must have signed. */
const openSigned = (note: string, keys: readonly string[]): Checkpoint =>
  openCheckpoint(
    note,
    keys.map(parseVerifierKey).filter((each) => each !== undefined),
  );

const policyIn = async (file: string): Promise<Policy> => parsePolicy(await readFile(file));

async function keysOf(
  { key, keyFile }: KeyOptions,
  others: readonly string[] = [],
): Promise<readonly string[]> {
  const fromFile = keyFile === undefined ? [] : (await readFile(keyFile, 'utf8')).split('\n');
  const keys = [...key, ...fromFile, ...others].map((each) => each.trim()).filter((each) => each !== '');
  if (keys.length === 0)
    throw usage('give the verifier key with --key or --key-file', 'the keep tells it: modelkeep audit vkey');
  for (const each of keys)
    if (parseVerifierKey(each) === undefined) throw usage(`${printable(each)} is not a verifier key`);
  return keys;
}

function noncesOf(text: string): Nonces {
  try {
    return parseNonces(text.trim());
  } catch (error) {
    throw error instanceof ReceiptError ? usage(`--nonces: ${error.message}`) : error;
  }
}

function parseIndex(text: string, name: string): number {
  if (!/^\d{1,15}$/.test(text)) throw usage(`${name} is a whole number, not ${printable(text)}`);
  return Number(text);
}

async function requireDirectory(path: string): Promise<void> {
  if (!(await stat(path)).isDirectory()) throw usage(`${path} is not a directory`);
}

const headView = ({ size, root }: Head): Readonly<Record<string, unknown>> => ({
  size,
  root: encodeBase64(root),
});
