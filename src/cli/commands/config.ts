import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { LoadedConfig } from '../../config/load.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';

export function addConfigCommands(program: Command, { io, output, home }: CommandContext): void {
  // Imported where needed: the schema alone takes as long to load as the rest of the command line.
  async function load(): Promise<LoadedConfig> {
    const { loadConfigWithOrigins } = await import('../../config/load.ts');
    return loadConfigWithOrigins({ flags: {}, env: io.environment, homeDirectory: home(), readFile });
  }

  const config = program
    .command('config')
    .description('the configuration: environment variables over modelkeep.yaml over defaults');
  config
    .command('check')
    .description(
      'check the configuration and that the secrets it refers to are there; report all that is wrong, start nothing',
    )
    .action(async () => {
      const { checkSecrets } = await import('../config-secrets.ts');
      checkSecrets(await load(), { environment: io.environment, readFile });
      output.done({ ok: true }, 'the configuration is acceptable');
    })
    .addHelpText('after', example('modelkeep config check --home /var/lib/modelkeep'));
  config
    .command('show')
    .description('list every key with its value and where that comes from')
    .action(async () => {
      const { describeConfig } = await import('../../config/describe.ts');
      const keys = describeConfig(await load());
      output.list(
        { keys },
        keys,
        [
          { title: 'KEY', value: (key) => key.name },
          { title: 'VALUE', value: (key) => valueOf(key.value), shrink: true },
          { title: 'FROM', value: (key) => key.origin },
        ],
        'there are no keys',
      );
    })
    .addHelpText('after', example('modelkeep config show'));
  config
    .command('schema')
    .description('print the JSON Schema of modelkeep.yaml, for editors')
    .action(async () => {
      const { configJsonSchema } = await import('../../config/key.ts');
      const schema = configJsonSchema();
      output.text(schema, `${JSON.stringify(schema, undefined, 2)}\n`);
    })
    .addHelpText('after', example('modelkeep config schema > modelkeep.schema.json'));
}

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function valueOf(value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  return JSON.stringify(value);
}
