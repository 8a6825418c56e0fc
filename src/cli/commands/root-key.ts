import type { Command } from 'commander';
import type { RootKeyProvider } from '../../crypto/root-key/root-key-provider.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { CliFailure } from '../failure.ts';
import { withRootKeyProvider } from '../root-key-provider.ts';
import { renderFacts } from '../table.ts';

/** The root key of the keep on this machine. No server is asked: the key is where the configuration says. */
export function addRootKeyCommands(program: Command, { io, output, home }: CommandContext): void {
  const withProvider = <T>(work: (provider: RootKeyProvider) => Promise<T>): Promise<T> =>
    withRootKeyProvider({ io, home: home() }, work);
  const rootKey = program.command('root-key').description('the root key, which opens the key ring');
  rootKey
    .command('show')
    .description('fetch the root key from its provider and show what is public of it')
    .action(() =>
      withProvider(async (provider) => {
        const { current } = await provider.open();
        const { provider: name, place, keep } = provider.describe();
        const facts = { id: current.id, provider: name, place, keep };
        output.text(
          facts,
          renderFacts([
            ['root key', current.id],
            ['provider', name],
            ['place', place],
            ['keep a copy of', keep],
          ]),
        );
      }),
    )
    .addHelpText('after', example('modelkeep root-key show'));
  rootKey
    .command('rotate')
    .description('make another root key; the next start of the keep moves the key ring over to it')
    .action(() =>
      withProvider(async (provider) => {
        const { provider: name, place, keep } = provider.describe();
        const next = await provider.rotate?.();
        if (next === undefined) {
          throw new CliFailure(`the root key of the provider ${name} is not ours to make`, {
            hint: `put the new one in place of ${place}, keep the one before as the previous one, and start the keep`,
          });
        }
        output.done({ id: next.id, keep }, `made the root key ${next.id}; start the keep to use it`);
        output.talk(`Keep a copy of ${keep}.`);
      }),
    )
    .addHelpText('after', example('modelkeep root-key rotate'));
  rootKey
    .command('rewrap')
    .description('wrap the same root key under the newest version of the remote key')
    .action(() =>
      withProvider(async (provider) => {
        const { provider: name, place } = provider.describe();
        if (provider.rewrap === undefined)
          throw new CliFailure(`the provider ${name} wraps nothing`, {
            hint: 'modelkeep root-key rotate makes another root key',
          });
        await provider.rewrap();
        output.done({ rewrapped: true }, `wrapped the root key anew by ${place}`);
      }),
    )
    .addHelpText('after', example('modelkeep root-key rewrap'));
}
