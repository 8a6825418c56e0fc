import type { Registry as MetricsRegistry } from 'prom-client';
import { isPermission } from '../access/catalogue.ts';
import { createAccessRoutes } from '../access/routes.ts';
import { createDeliveryRoutes } from '../audit/deliver/routes.ts';
import { createDetectionRoutes } from '../audit/detect/routes.ts';
import { createSearchRoutes } from '../audit/index/routes.ts';
import { createCustodyRoutes } from '../audit/privacy/routes.ts';
import { createReceiptRoutes } from '../audit/receipt/routes.ts';
import { createAuditRoutes } from '../audit/routes.ts';
import { createWitnessRoutes } from '../audit/witness/routes.ts';
import type { Config } from '../config/config.ts';
import { createOperationsRoutes } from '../http/operations.ts';
import type { Route } from '../http/route.ts';
import { createIdentityRoutes } from '../identity/routes.ts';
import { createEncryptionRoutes } from '../keys/encryption-routes.ts';
import { createEncryptionService } from '../keys/encryption-service.ts';
import { createKeyRoutes } from '../keys/routes.ts';
import { createModelRoutes } from '../models/routes.ts';
import type { VersionReference } from '../models/version.ts';
import { createServingRoutes } from '../serving/routes.ts';
import type { Keep } from './keep.ts';
import { PROBLEMS } from './problem-tables.ts';

export interface RouteTableOptions {
  readonly keep: Keep;
  readonly config: Config;
  readonly metrics: MetricsRegistry;
  /** The version of Modelkeep. */
  readonly release: string;
}

/** Every route there is. Throws a TypeError on a permission that is not in the catalogue. */
export function createRouteTable({ keep, config, metrics, release }: RouteTableOptions): readonly Route[] {
  const { access, audit, identity, keys, predictor, receipts, registry, watch } = keep;
  const features: readonly Route[] = [
    ...createIdentityRoutes(
      identity,
      // Whoever may bind any role could take the rights by another way.
      (caller, id) => access.outranks(caller, id) || access.visible(caller, 'role.bind', '/'),
    ),
    ...createAccessRoutes(access),
    ...createModelRoutes({
      registry,
      visible: (caller, path) => access.visible(caller, 'model.read', path),
    }),
    ...createAuditRoutes(audit),
    ...createSearchRoutes(watch.index),
    ...createReceiptRoutes({
      receipts,
      audit,
      directory: keep.paths.log,
      publicTree: config.audit.publicTree,
    }),
    ...createWitnessRoutes({ status: () => keep.witnesses() }),
    ...createDetectionRoutes(watch.responses),
    ...createDeliveryRoutes({
      source: watch.source,
      origin: keep.origin,
      version: release,
      delivery: watch.delivery,
    }),
    ...createCustodyRoutes(keep.custody),
    ...createKeyRoutes(keys),
    ...createEncryptionRoutes({ encryption: createEncryptionService({ ring: keep.keyRing }) }),
    ...createServingRoutes({
      models: registry,
      predictor,
      defaultModel: defaultModelOf(config),
      ...(config.audit.detection.enabled && { tagInput: (bytes: Uint8Array) => watch.tags.input(bytes) }),
      isReady: () => audit.available(),
      release,
    }),
  ];
  const routes = [
    ...features,
    ...createOperationsRoutes({
      routes: features,
      problems: PROBLEMS,
      readiness() {
        const { ready, reasons } = audit.readiness();
        // A root key out of reach degrades only: what is open stays open, and only a restart would need the provider.
        return { ready, reasons: [...reasons, ...keep.rootKeyWatch.state().reasons] };
      },
      registry: metrics,
      metricsPublic: config.metrics.public,
      info: { title: 'Modelkeep', version: release },
    }),
  ];
  for (const { guard, path } of routes) {
    if ('permission' in guard && !isPermission(guard.permission)) {
      throw new TypeError(`${path} asks for "${guard.permission}", which is not in the catalogue`);
    }
  }
  return routes;
}

function defaultModelOf({ serving }: Config): VersionReference | undefined {
  const [project, model] = serving.defaultModel?.split('/') ?? [];
  return project === undefined || model === undefined ? undefined : { project, model };
}
