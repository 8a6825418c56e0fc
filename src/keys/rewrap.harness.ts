import { openKeyRing } from '../crypto/ring/sealed-key-ring.ts';
import { readRootKeyFile } from '../crypto/root-key/root-key-file.ts';
import { systemClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { createMemoryAuditLog } from '../audit/memory-log.ts';
import { openDatabase } from '../storage/database.ts';
import { createKeyService } from './key-service.ts';
import { createNotes, forEver, keepPaths, NOTES_KEY } from './testing.ts';

/**
 * A process that is killed in the middle of a job: `rewrap.harness.ts DIRECTORY rewrap|reencrypt BATCHES`. After so many
 * whole batches it writes the rows of one more, says so on stdout, and waits inside the transaction for its end.
 */
const [directory = '', operation = 'rewrap', batches = '0'] = process.argv.slice(2);
const paths = keepPaths(directory);
const ring = await openKeyRing({
  path: paths.ring,
  rootIdentity: await readRootKeyFile(paths.rootKey),
  clock: systemClock,
});
const database = await openDatabase(paths.database);
let whole = 0;
const notes = await createNotes({
  ring,
  database,
  now: () => systemClock.now(),
  batchMax: 4,
  async beforeCommit() {
    if (whole++ < Number(batches)) return;
    process.stdout.write('inside\n');
    await forEver();
  },
});
const service = await createKeyService({
  ring,
  places: [notes],
  database,
  clock: systemClock,
  log: silentLog,
  audit: createMemoryAuditLog(),
});
if (operation === 'rewrap') await service.rewrap(NOTES_KEY);
else await service.reencrypt(NOTES_KEY);
await service.close();
await ring.close();
await database.close();
