import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import { type ProviderReadiness, READY, type RootKeyProvider } from './root-key-provider.ts';

/** What is known of the provider while the keep runs. A keep that lost its provider serves on with what it opened. */
export interface RootKeyWatch {
  /** The last answer, at once; one that is older than the interval is asked for again in the background. */
  state(): ProviderReadiness;
  /** Resolves when no question is under way. */
  settled(): Promise<void>;
}

/** Questions are asked when somebody looks: an idle keep bothers no key service. */
export function createRootKeyWatch({
  provider,
  clock,
  log,
  intervalMs = 30_000,
}: {
  readonly provider: Pick<RootKeyProvider, 'check'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs?: number;
}): RootKeyWatch {
  let last = READY;
  let askedAt = clock.monotonic();
  let asking: Promise<void> | undefined;

  const ask = async (): Promise<void> => {
    const next = await provider.check();
    askedAt = clock.monotonic();
    asking = undefined;
    if (next.ready !== last.ready) {
      if (next.ready) log.info('root_key.provider_back');
      else log.warn('root_key.provider_lost', { reason: next.reasons.join('; ') });
    }
    last = next;
  };

  return {
    state() {
      if (asking === undefined && clock.monotonic() - askedAt >= intervalMs) asking = ask();
      return last;
    },
    settled: async () => asking,
  };
}
