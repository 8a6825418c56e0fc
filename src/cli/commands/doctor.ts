import type { Command } from 'commander';
import { keepPaths } from '../../server/keep-directory.ts';
import { requireKeep } from '../connect.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { EXIT, reportOf } from '../failure.ts';
import {
  checkApiKeys,
  checkDatabase,
  checkPermissions,
  checkRootKeyAge,
  type Finding,
} from '../keep-checks.ts';
import type { KeepClient } from '../keep-client.ts';
import { listAll } from '../pages.ts';
import { itemsOf } from '../resources.ts';
import { withRootKeyProvider } from '../root-key-provider.ts';
import { printable } from '../table.ts';
import type { ApiKey } from './api-keys.ts';
import { checkRingKeys, type RingKey } from './keyring.ts';
import { checkStrayBlobs, STRAY_BLOBS, type StrayBlob } from './stray-blobs.ts';

const MARKS = { ok: '✓ ok     ', warning: '! warning', failed: '✗ failed ' } as const;

export function addDoctorCommand(
  program: Command,
  { io, output, home, server, withKeep, exitWith }: CommandContext,
): void {
  program
    .command('doctor')
    .description(
      'check the keep: permissions, key ages, credentials, database, stored models, log; exit code 1 if a check fails',
    )
    .action(async () => {
      const findings: Finding[] = [];
      const run = async (check: string, work: () => Promise<Finding>): Promise<void> => {
        const finding = await work().catch((error: unknown) => failed(check, error));
        findings.push(finding);
        if (!output.isJson()) {
          io.stdout.write(`${MARKS[finding.state]}  ${finding.check}: ${printable(finding.detail)}\n`);
          if (finding.hint !== undefined && finding.state !== 'ok') output.hint(finding.hint);
        }
      };
      // With --server the files are on another machine: only what the API tells can be checked.
      if (server() === undefined) {
        await requireKeep(home());
        const paths = keepPaths(home());
        const keyFiles = await rootKeyFiles({ io, home: home() });
        await run('file permissions', () => checkPermissions(paths, keyFiles));
        await run('root key', () => checkRootKeyAge(keyFiles, io.clock.now()));
        await run('database', () => checkDatabase(paths));
      }
      await run('API keys', () => withKeep((keep) => apiKeys(keep, io.clock.now())));
      await run('key ring', () => withKeep((keep) => ringKeys(keep, io.clock.now())));
      await run('stored models', () => withKeep(storedModels));
      await run('audit log', () => withKeep(auditLog));
      if (output.isJson()) output.text({ checks: findings }, '');
      if (findings.some((finding) => finding.state === 'failed')) exitWith(EXIT.failure);
    })
    .addHelpText('after', example('modelkeep doctor --home /var/lib/modelkeep'));
}

/** Files of the keep that the root key's provider uses: none where the key lies elsewhere. */
function rootKeyFiles(where: Parameters<typeof withRootKeyProvider>[0]): Promise<readonly string[]> {
  return withRootKeyProvider(where, async (provider) => provider.describe().files);
}

async function apiKeys(keep: KeepClient, now: number): Promise<Finding> {
  const { rows } = await listAll<ApiKey>(keep, 'keys', { path: '/api/v1/api-keys' });
  return checkApiKeys(rows, now);
}

async function ringKeys(keep: KeepClient, now: number): Promise<Finding> {
  const answer = await keep.request({ method: 'GET', path: '/api/v1/keys' });
  return checkRingKeys(itemsOf<RingKey>(answer, 'keys'), now);
}

async function storedModels(keep: KeepClient): Promise<Finding> {
  const answer = await keep.request({ method: 'GET', path: STRAY_BLOBS });
  return checkStrayBlobs(itemsOf<StrayBlob>(answer, 'blobs'));
}

async function auditLog(keep: KeepClient): Promise<Finding> {
  const result = await keep.request<{ ok: boolean; size: number; problems: readonly { message: string }[] }>({
    method: 'POST',
    path: '/api/v1/audit/verify',
  });
  const check = 'audit log';
  if (result.ok) return { check, state: 'ok', detail: `${result.size} entries verify` };
  return { check, state: 'failed', detail: result.problems.map((problem) => problem.message).join('; ') };
}

function failed(check: string, error: unknown): Finding {
  const { message, hint } = reportOf(error);
  return { check, state: 'failed', detail: message, ...(hint === undefined ? {} : { hint }) };
}
