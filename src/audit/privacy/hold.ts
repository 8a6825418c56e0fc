import type { Database } from '../../storage/database.ts';
import { privacyProblems } from './problems.ts';

/** A legal hold: while it stands, nothing of the log is erased or deleted. */
export interface Hold {
  readonly reason: string;
  /** ISO 8601. */
  readonly since: string;
  /** Id of the principal who set it. */
  readonly by: string;
}

export interface Holds {
  current(): Promise<Hold | undefined>;
  /** Replaces one that stands. */
  set(hold: Hold): Promise<void>;
  /** Throws `privacy.not_held`. */
  lift(): Promise<void>;
  /** Throws `privacy.held`. */
  assertNone(): Promise<void>;
}

const SETTING = 'audit.hold';

export function createHolds(database: Pick<Database, 'query' | 'write'>): Holds {
  const holds: Holds = {
    async current() {
      const found = await database.query
        .selectFrom('settings')
        .select('value')
        .where('name', '=', SETTING)
        .executeTakeFirst();
      return found === undefined ? undefined : (JSON.parse(found.value) as Hold);
    },
    async set({ reason, since, by }) {
      const value = JSON.stringify({ reason, since, by });
      await database.write((transaction) =>
        transaction
          .insertInto('settings')
          .values({ name: SETTING, value })
          .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
          .execute(),
      );
    },
    async lift() {
      if ((await holds.current()) === undefined) throw privacyProblems.not_held('there is no legal hold');
      await database.write((transaction) =>
        transaction.deleteFrom('settings').where('name', '=', SETTING).execute(),
      );
    },
    async assertNone() {
      const hold = await holds.current();
      if (hold !== undefined) throw privacyProblems.held(`there is a legal hold since ${hold.since}`);
    },
  };
  return holds;
}
