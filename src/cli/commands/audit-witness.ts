import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { openCheckpoint } from '../../audit/checkpoint.ts';
import { NoteError, type NoteVerifier, parseVerifierKey } from '../../audit/note.ts';
import { createProver } from '../../audit/receipt/prover.ts';
import { createWitnessClient } from '../../audit/witness/client.ts';
import { type Cosigner, parseCosignerKey } from '../../audit/witness/cosignature.ts';
import { generateCosignerKey, parseCosignerPrivateKey } from '../../audit/witness/cosigner-key.ts';
import { parsePolicy } from '../../audit/witness/policy.ts';
import { serveWitness } from '../../audit/witness/server.ts';
import { openWitnessFiles } from '../../audit/witness/stores.ts';
import { obtainCosignature } from '../../audit/witness/submission.ts';
import { createWitness } from '../../audit/witness/witness.ts';
import { createLog } from '../../kernel/log.ts';
import { Secret } from '../../kernel/secret.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { CliFailure, EXIT, usage } from '../failure.ts';
import { writeNewFile } from '../new-file.ts';
import { printable } from '../table.ts';

/** `audit witness`: what runs on the second machine, and what asks it. None of it opens a keep. */
export function addAuditWitnessCommands(audit: Command, context: CommandContext): void {
  const witness = audit
    .command('witness')
    .description('watch a log from another machine, so that it can be neither rewritten nor rolled back');
  addKeygen(witness, context);
  addServe(witness, context);
  addSubmit(witness, context);
}

function addKeygen(witness: Command, { output }: CommandContext): void {
  witness
    .command('keygen')
    .argument('<name>', 'names the witness in its signatures: witness.example.org/w1')
    .requiredOption('-o, --output <file>', 'the private keys; a new file, readable by you alone')
    .option('--pq', 'make an ML-DSA-44 key, too: post-quantum cosignatures beside the Ed25519 ones')
    .description('make the keys of a witness and print its verifier keys, one a line')
    .action(async (name: string, options: { output: string; pq?: boolean }) => {
      const kinds = options.pq === true ? (['ed25519', 'ml-dsa-44'] as const) : (['ed25519'] as const);
      const lines = makeKeys(name, kinds);
      const vkeys = lines.map((line) => parseCosignerPrivateKey(line)?.vkey ?? '');
      await writeNewFile(options.output, bytesOf(lines.map((line) => `${line.reveal()}\n`).join('')));
      output.text({ vkeys }, vkeys.map((vkey) => `${vkey}\n`).join(''));
    })
    .addHelpText('after', example('modelkeep audit witness keygen witness.example.org/w1 -o witness.key'));
}

function makeKeys(name: string, kinds: readonly ('ed25519' | 'ml-dsa-44')[]): readonly Secret<string>[] {
  try {
    return kinds.map((kind) => generateCosignerKey(name, kind));
  } catch (error) {
    if (error instanceof TypeError) throw usage(error.message);
    throw error;
  }
}

async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

interface ServeOptions {
  readonly key: string;
  readonly state: string;
  readonly listen: string;
  readonly log: readonly string[];
}

function addServe(witness: Command, { io, output }: CommandContext): void {
  witness
    .command('serve')
    .requiredOption('--key <file>', 'the private keys, from `audit witness keygen`')
    .requiredOption('--state <dir>', 'where it remembers what it has cosigned; never put an old copy back')
    .requiredOption('--log <vkey...>', 'the verifier keys of the logs to watch, from `audit vkey`')
    .option('--listen <address>', 'HOST:PORT', '127.0.0.1:8088')
    .description('run a witness (C2SP tlog-witness) until it is interrupted')
    .action(async (options: ServeOptions) => {
      const cosigners = await readCosigners(options.key);
      const logs = options.log.map(parseLogKey);
      const { host, port } = parseListen(options.listen);
      using store = openWitnessFiles(options.state);
      const { clock } = io;
      const log = createLog({ clock, write: (line) => void io.stderr.write(line) });
      const server = await serveWitness({
        witness: createWitness({ store, cosigners, logs, clock }),
        host,
        port,
        log,
      });
      const vkeys = cosigners.map(({ vkey }) => vkey);
      const lines = vkeys.map((vkey, at) => `witness w${at + 1} ${vkey} ${server.url}\n`);
      output.text({ url: server.url, vkeys }, lines.join(''));
      if (!io.interrupted.aborted) {
        await new Promise<void>((resolve) => {
          io.interrupted.addEventListener('abort', () => resolve(), { once: true });
        });
      }
      await server.close();
    })
    .addHelpText(
      'after',
      example(
        'modelkeep audit witness serve --key witness.key --state /var/lib/witness --log keep.example.org/audit+9b3f8a21+AXm…',
      ),
    );
}

async function readCosigners(file: string): Promise<readonly Cosigner[]> {
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0)
    throw new CliFailure(`${file} is open to others`, { hint: `run: chmod 600 ${file}` });
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  const cosigners = lines.map((line) => parseCosignerPrivateKey(new Secret(line)));
  const [first] = cosigners;
  if (first === undefined || !cosigners.every((each) => each?.name === first.name))
    throw new CliFailure(`${file} does not hold the keys of one witness`);
  return cosigners.filter((each) => each !== undefined);
}

function parseLogKey(vkey: string): NoteVerifier {
  const cosigner = parseCosignerKey(vkey);
  const verifier = parseVerifierKey(vkey) ?? (cosigner?.kind === 'ml-dsa-44' ? cosigner : undefined);
  if (verifier === undefined)
    throw usage(`${vkey} is not the verifier key of a log`, 'the keep tells it: modelkeep audit vkey');
  return verifier;
}

function parseListen(text: string): { readonly host: string; readonly port: number } {
  const { groups } = /^(?:\[(?<v6>[0-9a-f:]+)\]|(?<host>[^:[\]]+)):(?<port>\d{1,5})$/i.exec(text) ?? {};
  const host = groups?.['v6'] ?? groups?.['host'];
  const port = Number(groups?.['port']);
  if (host === undefined || !(port <= 65_535)) throw usage(`${text} is not HOST:PORT`);
  return { host, port };
}

const SUBMIT_TIMEOUT_MS = 10_000;

function addSubmit(witness: Command, { io, output, exitWith }: CommandContext): void {
  witness
    .command('submit')
    .argument('<dir>', 'a copy of log/, or log/ itself')
    .requiredOption(
      '--policy <file>',
      'a C2SP tlog-policy with the log, the witnesses, their addresses and a quorum',
    )
    .description('have the checkpoint of a log cosigned, and print it with the cosignatures')
    .action(async (directory: string, options: { policy: string }) => {
      const policy = parsePolicy(await readFile(options.policy));
      const logs = policy.logs.map(({ verifier }) => verifier);
      if (logs.length === 0)
        throw usage('the policy has no log line', 'the keep tells its key: modelkeep audit vkey');
      const checkpoint = await readFile(join(directory, 'checkpoint'), 'utf8');
      checkNote(checkpoint, logs);
      const prover = createProver({ directory });
      const answers = await Promise.all(
        policy.witnesses.map(async ({ name, url, verifier }) => {
          if (url === undefined) throw usage(`the witness ${name} has no address in the policy`);
          const client = createWitnessClient({
            url,
            verifier,
            timeoutMs: SUBMIT_TIMEOUT_MS,
            signal: io.interrupted,
          });
          return { name, ...(await obtainCosignature({ client, prover, logs, checkpoint, known: 0 })) };
        }),
      );
      const given = answers.filter((each) => each.kind === 'cosigned');
      const note = checkpoint + given.map(({ line }) => `${line}\n`).join('');
      const quorum = policy.hasQuorum(new Set(given.map(({ name }) => name)));
      output.text({ checkpoint: note, quorum, witnesses: answers }, note);
      for (const each of answers)
        if (each.kind !== 'cosigned') output.talk(printable(`${each.name}: ${each.reason}`));
      if (answers.some(({ kind }) => kind === 'disagrees')) exitWith(EXIT.verification);
      else if (!quorum) throw new CliFailure('the quorum of the policy was not reached');
    })
    .addHelpText('after', example('modelkeep audit witness submit ./log-copy --policy witnesses.policy'));
}

function checkNote(checkpoint: string, logs: readonly NoteVerifier[]): void {
  try {
    openCheckpoint(checkpoint, logs);
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    throw new CliFailure(`checkpoint: ${error.message}`, { exitCode: EXIT.verification });
  }
}
