import type { Privacy } from '../audit/privacy/privacy.ts';
import { readSetting, removeSetting, writeSetting } from '../keys/settings.ts';
import type { Database } from '../storage/database.ts';
import type { LogWatch } from './log-watch.ts';

const SETTING = 'audit.erasing';

/** Erases a month, and what was derived from it. What a crash cuts off is finished here, when the keep is opened again. */
export async function openErasure({
  database,
  months,
  watch,
}: {
  readonly database: Database;
  readonly months: Pick<Privacy, 'months' | 'erase'>;
  readonly watch: Pick<LogWatch, 'forget'>;
}): Promise<Pick<Privacy, 'months' | 'erase'>> {
  const unfinished = await readSetting(database, SETTING);
  if (unfinished !== undefined) await finish(unfinished);
  return {
    months: () => months.months(),
    async erase(month) {
      await writeSetting(database, SETTING, month);
      try {
        await months.erase(month);
      } catch (error) {
        await removeSetting(database, SETTING);
        throw error;
      }
      await finish(month);
    },
  };

  async function finish(month: string): Promise<void> {
    await watch.forget(month);
    await removeSetting(database, SETTING);
  }
}
