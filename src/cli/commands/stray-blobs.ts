import type { Command } from 'commander';
import { requireYes } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { usage } from '../failure.ts';
import type { Finding } from '../keep-checks.ts';
import { itemsOf } from '../resources.ts';
import { type Column, renderBytes, renderTime } from '../table.ts';

/** A stored blob that no version names, as the API tells of it. */
export interface StrayBlob {
  readonly name: string;
  readonly bytes: number;
  readonly modifiedAt: string;
  /** Old enough to be removed without `--now`. */
  readonly removable: boolean;
}

export const STRAY_BLOBS = '/api/v1/models/stray-blobs';

const COLUMNS: readonly Column<StrayBlob>[] = [
  { title: 'BLOB', value: ({ name }) => name },
  { title: 'SIZE', value: ({ bytes }) => renderBytes(bytes), align: 'right' },
  { title: 'MODIFIED', value: ({ modifiedAt }) => renderTime(modifiedAt) },
  { title: 'REMOVABLE', value: ({ removable }) => (removable ? 'yes' : 'not yet') },
];

/** `models stray-blobs`. */
export function addStrayBlobs(models: Command, { io, output, withKeep }: CommandContext): void {
  models
    .command('stray-blobs')
    .description('list the stored blobs that no version names, such as a crash leaves; they only take room')
    .option('--remove', 'delete those that are older than 7 days')
    .option('--now', 'with --remove: delete the younger ones too; not after a database was put back')
    .option('-y, --yes', 'do not ask')
    .action(async (options: { remove?: boolean; now?: boolean; yes?: boolean }) => {
      if (options.remove !== true) {
        if (options.now === true) throw usage('--now goes with --remove');
        const answer = await withKeep((keep) => keep.request({ method: 'GET', path: STRAY_BLOBS }));
        output.list(answer, itemsOf<StrayBlob>(answer, 'blobs'), COLUMNS, 'there are no stray blobs');
        return;
      }
      const which = options.now === true ? 'every blob' : 'the blobs older than 7 days';
      await requireYes(io, options.yes, `delete ${which} that no version names, for good?`);
      const query = options.now === true ? { now: 'true' } : {};
      const answer = await withKeep((keep) => keep.request({ method: 'DELETE', path: STRAY_BLOBS, query }));
      const removed = itemsOf<StrayBlob>(answer, 'removed');
      output.done(answer, `deleted ${described(removed)}`);
    })
    .addHelpText(
      'after',
      example('modelkeep models stray-blobs', 'modelkeep models stray-blobs --remove --yes'),
    );
}

/** Room that nothing uses. What is young may be named again by a newer database that is put back. */
export function checkStrayBlobs(blobs: readonly StrayBlob[]): Finding {
  const check = 'stored models';
  if (blobs.length === 0) return { check, state: 'ok', detail: 'every blob belongs to a version' };
  const hint = blobs.some(({ removable }) => removable)
    ? 'modelkeep models stray-blobs --remove'
    : 'they can be deleted after 7 days: modelkeep models stray-blobs';
  return { check, state: 'warning', detail: `no version names ${described(blobs)}`, hint };
}

function described(blobs: readonly StrayBlob[]): string {
  const bytes = blobs.reduce((sum, blob) => sum + blob.bytes, 0);
  return `${blobs.length} ${blobs.length === 1 ? 'blob' : 'blobs'}, ${renderBytes(bytes)}`;
}
