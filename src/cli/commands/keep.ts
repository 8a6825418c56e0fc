import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { configTemplate } from '../../config/template.ts';
import { keepPaths } from '../../server/keep-directory.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { usage } from '../failure.ts';
import { readNewPassword, readSecret } from '../secret-input.ts';
import { openSecretOutlet, type SecretSink } from '../secret-output.ts';
import { renderFacts, renderTime } from '../table.ts';

/** The life of a keep: made, set up, served, shown. */
export function addKeepCommands(program: Command, context: CommandContext, version: string): void {
  addInit(program, context);
  addSetup(program, context);
  addServe(program, context);
  addDemo(program, context);
  addIdentity(program, context, version);
}

function addInit(program: Command, { io, access, output, home }: CommandContext): void {
  program
    .command('init')
    .description(
      'make a keep: its directory, root key, key ring, database and log, and a one-time setup token',
    )
    .option('-o, --output <file>', 'write the setup token to a new file, mode 0600')
    .option('--show-secret', 'print the setup token even if stdout is a pipe')
    .action(async (options: SecretSink) => {
      const outlet = await openSecretOutlet(io, options, 'setup token');
      let copy: string;
      try {
        const { setupToken, rootKeyCopy, ...made } = await access.initKeep({ home: home() });
        copy = rootKeyCopy;
        // Imported here: the age code takes longer to load than the rest of the command line.
        const { rootKeyId } = await import('../../crypto/root-key/root-key-provider.ts');
        const id = rootKeyId(made.recipient);
        const shown = await outlet.deliver(setupToken);
        const facts = renderFacts([
          ['keep', made.home],
          ['root key', id],
          ...(made.verifierKey === undefined ? [] : [['verifier key', made.verifierKey] as const]),
          ['setup token', shown ?? `in ${options.output}`],
          ...(made.setupTokenExpiresAt === undefined
            ? []
            : [['token expires', renderTime(made.setupTokenExpiresAt)] as const]),
        ]);
        const answer = { ...made, rootKey: id };
        output.text(shown === undefined ? answer : { ...answer, setupToken: shown }, facts);
      } catch (error) {
        await outlet.abandon();
        throw error;
      }
      await writeTemplate(keepPaths(home()).configuration);
      if (output.isJson()) return;
      output.talk('The setup token makes the first administrator, once: modelkeep setup NAME');
      output.talk(`Every setting and its default: ${keepPaths(home()).configuration}`);
      output.talk(`Keep a copy of ${copy} in another place: without it nothing in the keep can be read.`);
    })
    .addHelpText('after', example('modelkeep init --home /var/lib/modelkeep -o setup-token'));
}

/** A configuration that is there already stays as it is. */
async function writeTemplate(path: string): Promise<void> {
  await writeFile(path, configTemplate(), { flag: 'wx', mode: 0o600 }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    },
  );
}

interface SetupOptions {
  readonly tokenFile?: string;
  readonly passwordFile?: string;
  readonly passwordStdin?: boolean;
}

function addSetup(program: Command, { io, output, withKeep }: CommandContext): void {
  program
    .command('setup <name>')
    .description('make the first administrator with the setup token that init gave')
    .option('--token-file <file>', 'read the setup token from a file')
    .option('--password-file <file>', 'read the password of the new user from the first line of a file')
    .option('--password-stdin', 'read the password of the new user from the first line of stdin')
    .action(async (name: string, options: SetupOptions) => {
      const token = await readSecret(io, { file: options.tokenFile }, 'token');
      const source = { file: options.passwordFile, stdin: options.passwordStdin };
      const password = await readNewPassword(io, source, name);
      const body = { token: token.reveal(), name, password: password.reveal() };
      const answer = await withKeep((keep) => keep.request({ method: 'POST', path: '/api/v1/setup', body }));
      output.done(answer, `created ${name}, administrator of this keep`);
    })
    .addHelpText('after', example('modelkeep setup ada --token-file setup-token'));
}

/** Flags of `serve`, and the configuration keys they stand for. */
const SERVE_FLAGS = {
  host: 'listen.host',
  port: 'listen.port',
  tls: 'tls.mode',
  tlsCert: 'tls.certificate',
  tlsKey: 'tls.key',
} as const;

function addServe(program: Command, { io, access, home, exitWith }: CommandContext): void {
  program
    .command('serve')
    .description('serve this keep until SIGINT or SIGTERM')
    .option('--host <address>', 'address to listen on; beyond loopback only with TLS')
    .option('--port <port>', 'port to listen on')
    .option('--tls-cert <file>', 'certificate chain, PEM')
    .option('--tls-key <file>', 'private key of the certificate, PEM')
    .option('--tls <mode>', 'terminated-upstream: a proxy in front of this server speaks TLS')
    .action(async (options: Partial<Record<keyof typeof SERVE_FLAGS, string>>) => {
      const flags = Object.fromEntries(
        (Object.keys(SERVE_FLAGS) as (keyof typeof SERVE_FLAGS)[]).flatMap((flag) => {
          const value = options[flag];
          return value === undefined ? [] : [[SERVE_FLAGS[flag], value]];
        }),
      );
      exitWith(await access.serve({ home: home(), flags, signal: io.interrupted }));
    })
    .addHelpText(
      'after',
      example('modelkeep serve --host 0.0.0.0 --port 8443 --tls-cert keep.crt --tls-key keep.key'),
    );
}

function addDemo(program: Command, { io, access, namedHome, exitWith }: CommandContext): void {
  program
    .command('demo')
    .description('make a keep with three models, serve it, and show what it allows, refuses and detects')
    .option('--exit', 'end after the tour; exit code 0 if every step went as it must')
    .option('--port <port>', 'port to listen on')
    .action(async (options: { exit?: boolean; port?: string }) => {
      const port = options.port === undefined ? undefined : Number(options.port);
      if (port !== undefined && !(Number.isInteger(port) && port >= 0 && port <= 65_535)) {
        throw usage(`${options.port} is not a port`);
      }
      exitWith(
        await access.demo({ home: namedHome(), exit: options.exit === true, port, signal: io.interrupted }),
      );
    })
    .addHelpText('after', example('modelkeep demo --exit'));
}

function addIdentity(program: Command, { output, withKeep }: CommandContext, version: string): void {
  program
    .command('whoami')
    .description('show who you are to the keep, and by which credential')
    .action(async () => {
      const answer = await withKeep((keep) =>
        keep.request<{
          principal: { kind: string; id: string; name: string };
          credential: { kind: string; id: string };
        }>({ method: 'GET', path: '/api/v1/whoami' }),
      );
      const { principal, credential } = answer;
      output.facts(answer, [
        ['kind', principal.kind],
        ['name', principal.name],
        ['id', principal.id],
        ['credential', `${credential.kind} ${credential.id}`],
      ]);
    })
    .addHelpText('after', example('modelkeep --server https://keep.example.com whoami'));
  program
    .command('version')
    .description('print the version')
    .action(() => output.text({ version }, `${version}\n`))
    .addHelpText('after', example('modelkeep version --json'));
}
