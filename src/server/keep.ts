import { hostname } from 'node:os';
import { isPermission } from '../access/catalogue.ts';
import { type AccessControl, createAccessControl } from '../access/service.ts';
import { createSqlStore as createAccessStore } from '../access/sql-store.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { openAuditLog } from '../audit/log.ts';
import type { Config } from '../config/config.ts';
import { decryptDetached, encryptDetached } from '../crypto/age/age.ts';
import { recipientOf } from '../crypto/age/keys.ts';
import { createRootKeyFile, readRootKeyFile } from '../crypto/root-key/root-key-file.ts';
import { createKeyRing, openKeyRing } from '../crypto/ring/sealed-key-ring.ts';
import { createIdentity, type Identity } from '../identity/service.ts';
import { createSqlStore as createIdentityStore } from '../identity/sql-store.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { Secret } from '../kernel/secret.ts';
import { createRegistry, type Registry } from '../models/registry.ts';
import { createPredictor, type Predictor } from '../serving/predictor.ts';
import { type Database, openDatabase } from '../storage/database.ts';
import { createFileBlobStore } from '../storage/file-blobs.ts';
import { acquireFileLock } from '../storage/file-lock.ts';
import { checkKeepDirectory, createKeepDirectory, type KeepPaths, keepPaths } from './keep-directory.ts';
import { localCaller } from './local-caller.ts';
import { reconcile } from './reconcile.ts';

/** An open keep: every room's service, closed in reverse order of opening. */
export interface Keep extends AsyncDisposable {
  readonly paths: KeepPaths;
  readonly database: Database;
  readonly audit: AuditLog;
  readonly access: AccessControl;
  readonly identity: Identity;
  readonly registry: Registry;
  readonly predictor: Predictor;
}

export interface KeepOptions {
  readonly home: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
}

export interface CreatedKeep {
  readonly paths: KeepPaths;
  readonly setupToken: Secret<string>;
  /** age recipient of the root key. */
  readonly recipient: string;
  readonly verifierKey: string;
}

const ARTIFACTS_KEY = 'artifacts';
const LOG_KEY = 'audit-log';

/** Makes a keep: directories, root key, key ring, database, log, and the token that makes the first administrator. */
export async function createKeep(options: KeepOptions): Promise<CreatedKeep> {
  const paths = keepPaths(options.home);
  await createKeepDirectory(paths);
  const rootIdentity = await createRootKeyFile(paths.rootKey);
  await createKeyRing({ path: paths.keyring, rootIdentity, clock: options.clock });
  await using keep = await openKeep(options);
  await keep.audit.append({
    phase: 'single',
    action: 'keep.create',
    principal: { kind: 'local', id: localCaller().principal.id },
    decision: 'allow',
    reason: 'allowed',
  });
  await keep.registry.createProject('default');
  return {
    paths,
    setupToken: await keep.identity.issueSetupToken(),
    recipient: recipientOf(rootIdentity.reveal()),
    verifierKey: keep.audit.vkey,
  };
}

/** Opens the keep at `home` under its lock. Whatever fails, what was opened before is closed again. */
export async function openKeep({ home, config, clock, log }: KeepOptions): Promise<Keep> {
  const paths = keepPaths(home);
  await checkKeepDirectory(paths);
  await using opening = new AsyncDisposableStack();
  opening.use(acquireFileLock(paths.lock));

  const rootIdentity = await readRootKeyFile(paths.rootKey);
  const keyRing = await openKeyRing({ path: paths.keyring, rootIdentity, clock });
  await keyRing.ensure(LOG_KEY, 'sign');
  await keyRing.ensure(ARTIFACTS_KEY, 'wrap');

  const database = opening.adopt(await openDatabase(paths.database, clock), (opened) => opened.close());
  const audit = opening.adopt(
    await openAuditLog({
      directory: paths.log,
      signingKey: keyRing.signingKey(LOG_KEY).key,
      origin: config.audit.origin ?? (await originOf(database)),
      clock,
      log,
    }),
    (opened) => opened.close(),
  );
  await reconcile(audit, database, log);

  const access = await createAccessControl({
    store: createAccessStore(database),
    clock,
    resolveSubject: async (reference) => identity.resolveSubject(reference),
  });
  const identity: Identity = opening.adopt(
    await createIdentity({
      store: createIdentityStore(database),
      keyRing,
      clock,
      log,
      groupsOf: (principalId) => access.groupsOf(principalId),
      grantAdmin: (userId) => access.grantFirstAdmin(userId),
      onSubjectRemoved: (id) => access.removeSubject(id),
      assertRemovable: (id) => access.assertRemovable(id),
      isPermission,
      contextWords: [hostname()],
    }),
    (opened) => opened.close(),
  );
  const registry = await createRegistry({
    database,
    blobs: createFileBlobStore(paths.blobs),
    keyRing,
    cipher: { encrypt: encryptDetached, decrypt: decryptDetached },
    clock,
  });
  const predictor = opening.adopt(
    createPredictor({ models: registry, clock, log, limits: config.serving }),
    (opened) => opened.close(),
  );

  const opened = opening.move();
  return {
    paths,
    database,
    audit,
    access,
    identity,
    registry,
    predictor,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

/** The log's name for the world, chosen once: a log must keep its origin for life. */
async function originOf(database: Database): Promise<string> {
  const found = await database.query
    .selectFrom('settings')
    .select('value')
    .where('name', '=', 'audit.origin')
    .executeTakeFirst();
  if (found !== undefined) return found.value;
  const origin = `modelkeep.local/${hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '-')}`;
  await database.write((transaction) =>
    transaction.insertInto('settings').values({ name: 'audit.origin', value: origin }).execute(),
  );
  return origin;
}
