import type { Clock } from '../../kernel/clock.ts';
import type { AuditLog } from '../audit-log.ts';
import type { Holds } from './hold.ts';

/** How long entries are kept: whole months, in UTC. */
export interface Period {
  readonly months: number;
}

/** `P1Y`, `P18M`, `P1Y6M`; undefined for anything else, and for nothing at all. */
export function parsePeriod(text: string): Period | undefined {
  const [, years = '0', months = '0'] = /^P(?=\d)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?$/.exec(text) ?? [];
  const total = Number(years) * 12 + Number(months);
  return total === 0 ? undefined : { months: total };
}

/** Deletes what the policy no longer keeps, a month at a time, and shows what that would be. */
export interface Retention {
  plan(): Promise<RetentionPlan>;
  /** Resolves with how many entries were deleted. Throws `privacy.held`. */
  apply(): Promise<number>;
}

export interface RetentionPlan {
  /** `forever`, or a period such as `P1Y`. */
  readonly policy: string;
  /** First month that is kept whole; absent if all are. */
  readonly keptFrom?: string;
  /** First entry that is there, first that the policy keeps, and how many there have been. */
  readonly first: number;
  readonly below: number;
  readonly size: number;
  readonly held: boolean;
}

export interface RetentionOptions {
  readonly audit: Pick<AuditLog, 'entry' | 'size' | 'first' | 'prune'>;
  readonly policy: Period | 'forever';
  readonly holds: Pick<Holds, 'current' | 'assertNone'>;
  readonly clock: Pick<Clock, 'now'>;
}

export function createRetention({ audit, policy, holds, clock }: RetentionOptions): Retention {
  const retention: Retention = {
    async plan() {
      const held = (await holds.current()) !== undefined;
      const first = audit.first();
      const common = { policy: nameOf(policy), first, size: audit.size(), held };
      if (policy === 'forever') return { ...common, below: first };
      const now = new Date(clock.now());
      const since = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - policy.months, 1);
      const below = await firstSince(since);
      return { ...common, keptFrom: new Date(since).toISOString().slice(0, 7), below };
    },
    async apply() {
      await holds.assertNone();
      const { below, first } = await retention.plan();
      return below > first ? await audit.prune(below) : 0;
    },
  };
  return retention;

  /** Ids carry the time and never go back, whatever the clock did: so they can be searched by halves. */
  async function firstSince(ms: number): Promise<number> {
    let low = audit.first();
    let high = audit.size();
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const found = await audit.entry(middle);
      const time = Number.parseInt(found?.entry.id.replaceAll('-', '').slice(0, 12) ?? '', 16);
      if (time < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function nameOf(policy: Period | 'forever'): string {
  if (policy === 'forever') return policy;
  const years = Math.floor(policy.months / 12);
  const months = policy.months % 12;
  return `P${years > 0 ? `${years}Y` : ''}${months > 0 ? `${months}M` : ''}`;
}
