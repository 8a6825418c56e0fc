import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { VerificationProgress } from '../../audit/audit-log.ts';
import { fsckLog } from '../../audit/fsck.ts';
import { parsePolicy } from '../../audit/witness/policy.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { EXIT } from '../failure.ts';
import { printable } from '../table.ts';
import { collectKey, KEY, KEY_FILE, type KeyOptions, readKeys, successorsText } from './audit-keys.ts';

export function addAuditFsck(audit: Command, { io, output, exitWith }: CommandContext): void {
  let shown = -1;
  audit
    .command('fsck <dir>')
    .description('check a bare copy of log/ on all cores, offline; exit code 3 if it does not hold')
    .option(...KEY, collectKey, [])
    .option(...KEY_FILE)
    .option('--policy <file>', 'a C2SP tlog-policy: its witnesses must have cosigned, its log keys count too')
    .action(async (directory: string, options: KeyOptions & { policy?: string }) => {
      const policy = options.policy === undefined ? undefined : parsePolicy(await readFile(options.policy));
      const named = policy?.logs.map(({ vkey }) => vkey) ?? [];
      const given = options.key.length > 0 || options.keyFile !== undefined;
      const keys = given || named.length === 0 ? await readKeys(options) : named;
      const startedAt = io.clock.monotonic();
      const progress = io.stderrIsTerminal ? showProgress : undefined;
      const result = await fsckLog({
        directory,
        keys,
        ...(policy !== undefined && { policy }),
        ...(progress !== undefined && { onProgress: progress }),
      });
      if (progress !== undefined) io.stderr.write(CLEAR_LINE);
      const { ok, size, unsealed, problems } = result;
      const seconds = (io.clock.monotonic() - startedAt) / 1000;
      const more = unsealed === 0 ? '' : `, and ${unsealed} that are not sealed yet`;
      const good = `✓ verified ${size} entries in ${seconds.toFixed(1)} s${more}\n${successorsText(result)}`;
      const found = problems.map(({ message }) => `${printable(message)}\n`).join('');
      output.text(result, ok ? good : `✗ not verified\n${found}`);
      if (!ok) exitWith(EXIT.verification);
    })
    .addHelpText(
      'after',
      example(
        'modelkeep audit fsck ./log-copy --key-file keep.vkey',
        'modelkeep audit fsck ./log-copy --key-file keep.vkey --policy witnesses.policy',
      ),
    );

  function showProgress({ checked, size }: VerificationProgress): void {
    const percent = Math.floor((checked / size) * 100);
    if (percent === shown) return;
    shown = percent;
    io.stderr.write(`${CLEAR_LINE}checked ${checked} of ${size} entries, ${percent} %`);
  }
}

const CLEAR_LINE = '\r\u001b[K';
