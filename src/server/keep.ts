import { hostname } from 'node:os';
import { isPermission } from '../access/catalogue.ts';
import { type AccessControl, createAccessControl } from '../access/service.ts';
import { createSqlStore as createAccessStore } from '../access/sql-store.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { createHolds } from '../audit/privacy/hold.ts';
import { createMonthFiles, PRIVACY_KEY } from '../audit/privacy/month-files.ts';
import { createMonthPlace } from '../audit/privacy/month-place.ts';
import { openPrivacy } from '../audit/privacy/privacy.ts';
import { createRetention, parsePeriod } from '../audit/privacy/retention.ts';
import type { CustodyRouteOptions } from '../audit/privacy/routes.ts';
import { createReceipts, type Receipts } from '../audit/receipt/receipts.ts';
import type { WitnessingStatus } from '../audit/witness/witnessing.ts';
import type { Config } from '../config/config.ts';
import type { Environment } from '../config/environment.ts';
import { createSecretSource } from '../config/secret-source.ts';
import { decryptDetached, encryptDetached } from '../crypto/age/age.ts';
import { rewrapHeader } from '../crypto/age/detached.ts';
import { recipientOf } from '../crypto/age/keys.ts';
import { createRootKeyProvider } from '../crypto/root-key/create-provider.ts';
import { resealKeyRing } from '../crypto/root-key/reseal.ts';
import type { RootKeyDescription, RootKeyProvider } from '../crypto/root-key/root-key-provider.ts';
import { createRootKeyWatch, type RootKeyWatch } from '../crypto/root-key/root-key-watch.ts';
import type { ManagedKeyRing } from '../crypto/ring/key-ring.ts';
import { createKeyRing, openKeyRing } from '../crypto/ring/sealed-key-ring.ts';
import { createIdentity, type Identity } from '../identity/service.ts';
import { createSqlStore as createIdentityStore } from '../identity/sql-store.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { Secret } from '../kernel/secret.ts';
import { createApiKeyPlace, createPasswordPlace } from '../keys/identity-places.ts';
import { createKeyService, type KeyService } from '../keys/key-service.ts';
import { watchRingGeneration } from '../keys/ring-generation.ts';
import { createRegistry, type Registry } from '../models/registry.ts';
import { createPredictor, type Predictor } from '../serving/predictor.ts';
import { type Database, openDatabase } from '../storage/database.ts';
import { createFileBlobStore } from '../storage/file-blobs.ts';
import { acquireFileLock } from '../storage/file-lock.ts';
import { openErasure } from './erasure.ts';
import {
  checkKeepDirectory,
  createKeepDirectory,
  type KeepPaths,
  keepPaths,
  removeKeepDirectories,
} from './keep-directory.ts';
import { localCaller } from './local-caller.ts';
import { createLogKeyPlace, LOG_KEY, logKeysOf, openLog, readPublished } from './keep-log.ts';
import { openLogCosigner } from './log-cosigner.ts';
import { createLogWatch, type LogWatch } from './log-watch.ts';
import { reconcile } from './reconcile.ts';

/** An open keep: every room's service, closed in reverse order of opening. */
export interface Keep extends AsyncDisposable {
  readonly paths: KeepPaths;
  readonly database: Database;
  readonly audit: AuditLog;
  /** Everything that follows the log; it begins when told to. */
  readonly watch: LogWatch;
  readonly receipts: Receipts;
  readonly origin: string;
  readonly custody: CustodyRouteOptions;
  readonly witnesses: () => WitnessingStatus;
  readonly access: AccessControl;
  readonly identity: Identity;
  readonly registry: Registry;
  readonly keyRing: ManagedKeyRing;
  readonly keys: KeyService;
  readonly predictor: Predictor;
  readonly rootKeyWatch: RootKeyWatch;
}

export interface KeepOptions {
  readonly home: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** Where secrets that the configuration refers to are looked up; absent: nowhere. */
  readonly environment?: Environment;
  /** Asks for the passphrase of the root key, if there is a terminal. */
  readonly askPassphrase?: ((message: string) => Promise<Secret<string>>) | undefined;
}

export interface CreatedKeep {
  readonly paths: KeepPaths;
  readonly setupToken: Secret<string>;
  /** age recipient of the root key. */
  readonly recipient: string;
  readonly rootKey: RootKeyDescription;
  readonly verifierKey: string;
}

const ARTIFACTS_KEY = 'artifacts';

/** Makes a keep: directories, root key, key ring, database, log, and the token that makes the first administrator. */
export async function createKeep(options: KeepOptions): Promise<CreatedKeep> {
  const paths = keepPaths(options.home);
  await createKeepDirectory(paths);
  const provider = rootKeyProviderOf(options);
  const { identity: rootIdentity } = await provider.initialise().catch(async (error: unknown) => {
    await removeKeepDirectories(paths);
    throw error;
  });
  await createKeyRing({ path: paths.keyring, rootIdentity, clock: options.clock });
  await using keep = await openWith(options, provider);
  const { principal: owner } = localCaller();
  await keep.audit.append({
    phase: 'single',
    action: 'keep.create',
    principal: { kind: 'local', id: owner.id, name: owner.name },
    decision: 'allow',
    reason: 'allowed',
  });
  await keep.registry.createProject('default');
  return {
    paths,
    setupToken: await keep.identity.issueSetupToken(),
    recipient: recipientOf(rootIdentity.reveal()),
    rootKey: provider.describe(),
    verifierKey: keep.audit.vkey,
  };
}

/** Opens the keep at `home` under its lock. Whatever fails, what was opened before is closed again. */
export function openKeep(options: KeepOptions): Promise<Keep> {
  return openWith(options, rootKeyProviderOf(options));
}

function rootKeyProviderOf(options: KeepOptions): RootKeyProvider {
  const { home, config, clock, log, environment = {}, askPassphrase } = options;
  return createRootKeyProvider(config.rootKey, {
    home: keepPaths(home).home,
    secrets: createSecretSource(environment),
    credentialsDirectory: environment['CREDENTIALS_DIRECTORY'],
    clock,
    log,
    ...(askPassphrase && { askPassphrase }),
  });
}

async function openWith(
  { home, config, clock, log, environment = {} }: KeepOptions,
  rootKeys: RootKeyProvider,
): Promise<Keep> {
  const paths = keepPaths(home);
  await checkKeepDirectory(paths);
  await using opening = new AsyncDisposableStack();
  opening.use(acquireFileLock(paths.lock));

  opening.defer(() => rootKeys.close());
  const { rootKey, movedFrom } = await resealKeyRing(paths.keyring, await rootKeys.open());
  if (movedFrom !== undefined) log.info('root_key.rotated', { from: movedFrom.id, to: rootKey.id });
  const rootIdentity = rootKey.identity;
  const keyRing = await openKeyRing({ path: paths.keyring, rootIdentity, clock });
  const database = opening.adopt(await openDatabase(paths.database, clock), (opened) => opened.close());
  await watchRingGeneration({ ring: keyRing, database, log, acceptGeneration: config.keys.acceptGeneration });
  // After the database, which records each generation, and so closed before it.
  opening.defer(() => keyRing.close());
  await keyRing.ensure(LOG_KEY, 'sign');
  await keyRing.ensure(ARTIFACTS_KEY, 'wrap');
  await keyRing.ensure(PRIVACY_KEY, 'wrap');
  const monthKeys = await openPrivacy({ directory: paths.privacy, ring: keyRing, clock, log });
  const origin = config.audit.origin ?? (await originOf(database));
  const { postQuantum: enabled } = config.audit;
  const cosigner = await openLogCosigner({ enabled, origin, ring: keyRing, database });
  const { log: audit, witnesses } = await openLog({
    paths,
    config,
    origin,
    keys: logKeysOf(keyRing).map(({ key }) => key),
    cosigner,
    privacy: monthKeys,
    clock,
    log,
  });
  opening.adopt(audit, (opened) => opened.close());
  await cosigner.record(audit);
  await reconcile(audit, database, log);
  if (movedFrom !== undefined) {
    await audit.append({
      phase: 'single',
      action: 'root_key.rotate',
      principal: { kind: 'system' },
      resource: '/keys',
      decision: 'allow',
      reason: 'allowed',
      detail: { from: movedFrom.id, to: rootKey.id },
    });
  }

  const holds = createHolds(database);
  const retention = createRetention({
    audit,
    policy: parsePeriod(config.audit.retention) ?? 'forever',
    holds,
    clock,
  });
  const watch = opening.use(
    await createLogWatch({
      audit,
      origin,
      paths,
      config,
      keyRing,
      secrets: createSecretSource(environment),
      retention,
      clock,
      log,
    }),
  );
  const privacy = await openErasure({ database, months: monthKeys, watch });

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
      detection: { tags: watch.tags, judge: (visitor) => watch.responses.verdict(visitor) },
      contextWords: [hostname()],
    }),
    (opened) => opened.close(),
  );
  const registry = await createRegistry({
    database,
    blobs: createFileBlobStore(paths.blobs),
    keyRing,
    cipher: { encrypt: encryptDetached, decrypt: decryptDetached, rewrap: rewrapHeader },
    clock,
    log,
  });
  const keys = opening.adopt(
    await createKeyService({
      ring: keyRing,
      places: [
        registry.artifactHeaders,
        createApiKeyPlace(database, clock),
        createPasswordPlace(database),
        createMonthPlace(createMonthFiles(paths.privacy, keyRing), keyRing),
        createLogKeyPlace(paths.log, origin, keyRing),
      ],
      announced: new Set([LOG_KEY]),
      database,
      clock,
      log,
      audit,
    }),
    (opened) => opened.close(),
  );
  const predictor = opening.adopt(
    createPredictor({ models: registry, clock, log, limits: config.serving }),
    (opened) => opened.close(),
  );

  const opened = opening.move();
  return {
    paths,
    database,
    audit,
    watch,
    receipts: createReceipts({
      directory: paths.log,
      seal: () => audit.checkpoint(),
      published: () => readPublished(paths.log),
    }),
    origin,
    custody: { privacy, retention, holds, clock },
    witnesses,
    access,
    identity,
    registry,
    keyRing,
    keys,
    predictor,
    rootKeyWatch: createRootKeyWatch({ provider: rootKeys, clock, log }),
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
