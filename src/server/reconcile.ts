import type { AuditLog } from '../audit/audit-log.ts';
import type { Log } from '../kernel/log.ts';
import type { Database } from '../storage/database.ts';

/**
 * Closes every start without an end that an earlier process left: the `effects` table tells whether the change it
 * announced was committed. Ends of this kind carry the reason `recovered_committed` or `recovered_not_committed`.
 */
export async function reconcile(audit: AuditLog, database: Database, log: Log): Promise<void> {
  for (const { entry } of audit.unfinished()) {
    const effect = await database.query
      .selectFrom('effects')
      .select('entry_id')
      .where('entry_id', '=', entry.id)
      .executeTakeFirst();
    const reason = effect === undefined ? 'recovered_not_committed' : 'recovered_committed';
    await audit.append({
      phase: 'end',
      of: entry.id,
      ...(entry.request === undefined ? {} : { request: entry.request }),
      action: entry.action,
      principal: { kind: 'system', name: 'recovery' },
      ...(entry.resource === undefined ? {} : { resource: entry.resource }),
      decision: effect === undefined ? 'error' : 'allow',
      reason,
    });
    log.warn('audit.reconciled', { entry: entry.id, action: entry.action, reason });
  }
  // Every start is closed now, so no row is needed any more.
  await database.query.deleteFrom('effects').execute();
}
