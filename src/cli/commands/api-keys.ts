import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { usage } from '../failure.ts';
import { apiPath } from '../keep-client.ts';
import { listAll } from '../pages.ts';
import { collect, parseCount } from '../resources.ts';
import { Secret } from '../../kernel/secret.ts';
import { openSecretOutlet, type SecretSink } from '../secret-output.ts';
import { renderTime, type Column } from '../table.ts';

/** As the API tells of a key; the secret is only in the answer that created it. */
export interface ApiKey {
  readonly id: string;
  readonly owner: string;
  readonly label: string;
  readonly createdAt: number | string;
  readonly expiresAt: number | string | null;
  readonly revokedAt: number | string | null;
  readonly lastUsedAt: number | string | null;
}

interface NewKeyOptions extends SecretSink {
  readonly label?: string;
  readonly expiresInDays?: string;
  readonly allow?: readonly string[];
}

export function addKeyCommands(program: Command, { io, output, withKeep }: CommandContext): void {
  const keys = program.command('api-keys').description('credentials of programs');
  keys
    .command('list')
    .description('list the API keys, without their secrets')
    .option('--owner <principal>', 'only keys of user:NAME, service-account:NAME or an id')
    .action(async ({ owner }: { owner?: string }) => {
      const query = { owner };
      const { answer, rows } = await withKeep((keep) =>
        listAll<ApiKey>(keep, 'keys', { path: '/api/v1/api-keys', query }),
      );
      output.list(answer, rows, columns(io.clock.now()), 'there are no API keys');
    })
    .addHelpText('after', example('modelkeep api-keys list --owner service-account:checkout'));
  keys
    .command('create <owner>')
    .description('create an API key for user:NAME or service-account:NAME; it is shown once and never again')
    .option('--label <text>', 'what the key is for')
    .option('--expires-in-days <days>', 'when it stops working')
    .option('--allow <grant>', 'limit it to PERMISSION@SCOPE; may be repeated', collect)
    .option('-o, --output <file>', 'write the key to a new file, mode 0600')
    .option('--show-secret', 'print the key even if stdout is a pipe')
    .action(async (owner: string, options: NewKeyOptions) => {
      const body = {
        owner,
        label: options.label,
        expiresInDays:
          options.expiresInDays === undefined
            ? undefined
            : parseCount(options.expiresInDays, '--expires-in-days'),
        scopes: options.allow?.map(parseGrant),
      };
      const outlet = await openSecretOutlet(io, options, 'API key');
      try {
        const { key, ...facts } = await withKeep((keep) =>
          keep.request<{ id: string; key: string }>({ method: 'POST', path: '/api/v1/api-keys', body }),
        );
        const shown = await outlet.deliver(new Secret(key));
        output.text(
          shown === undefined ? facts : { ...facts, key: shown },
          shown === undefined ? '' : `${shown}\n`,
        );
        output.talk(
          `created ${facts.id} of ${owner}${shown === undefined ? ` in ${options.output}` : '; keep it now'}`,
        );
      } catch (error) {
        await outlet.abandon();
        throw error;
      }
    })
    .addHelpText(
      'after',
      example(
        'modelkeep api-keys create service-account:checkout -o checkout.key',
        'modelkeep api-keys create user:ada --allow model.invoke@/projects/fraud --expires-in-days 30',
      ),
    );
  keys
    .command('revoke <key>')
    .description('end an API key, by its id; it is refused from now on')
    .action(async (id: string) => {
      const path = apiPath`/api/v1/api-keys/${id}`;
      output.done(await withKeep((keep) => keep.request({ method: 'DELETE', path })), `revoked ${id}`);
    })
    .addHelpText('after', example('modelkeep api-keys revoke key_01jd3q6v9s8r7k5m2n4p6x8z0a'));
}

/** `model.invoke@/projects/fraud` */
function parseGrant(text: string): { permission: string; scope: string } {
  const [, permission, scope] = /^([^@/]+)@(\/.*)$/.exec(text) ?? [];
  if (permission === undefined || scope === undefined) {
    throw usage(
      `--allow ${text} is not PERMISSION@SCOPE`,
      'for example --allow model.invoke@/projects/fraud',
    );
  }
  return { permission, scope };
}

function columns(now: number): readonly Column<ApiKey>[] {
  return [
    { title: 'ID', value: (key) => key.id },
    { title: 'OWNER', value: (key) => key.owner },
    { title: 'LABEL', value: (key) => key.label, shrink: true },
    { title: 'STATE', value: (key) => stateOf(key, now) },
    { title: 'EXPIRES', value: (key) => renderTime(key.expiresAt) },
    { title: 'LAST USED', value: (key) => renderTime(key.lastUsedAt) },
  ];
}

export function stateOf(key: ApiKey, now: number): 'active' | 'expired' | 'revoked' {
  if (key.revokedAt !== null) return 'revoked';
  return key.expiresAt !== null && new Date(key.expiresAt).getTime() <= now ? 'expired' : 'active';
}
