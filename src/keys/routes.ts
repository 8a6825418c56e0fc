import type { z } from 'zod';
import type { Permission } from '../access/catalogue.ts';
import { cryptoProblems } from '../crypto/problems.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import type { Call, Route, ScopeOf } from '../http/route.ts';
import type { KeyService } from './key-service.ts';
import { keysProblems as problems } from './problems.ts';
import * as shapes from './route-shapes.ts';

type KeyRoute = Route<Permission>;

/**
 * How long one request moves items before it answers with what it has done: well within the deadline of a request. The
 * caller calls again until `finished`.
 */
const JOB_MS_MAX = 20_000;

const collection: ScopeOf = () => '/keys';
const one: ScopeOf = ({ params }) => `/keys/${params['key']}`;
const keyOf = ({ params }: Call): string => params['key'] ?? '';
/** The schema has made a number of it. */
const versionOf = ({ params }: Call): number => Number(params['version']);

const RING = { path: '/api/v1/keys', tag: 'keys' } as const;
const KEY = { path: '/api/v1/keys/{key}', tag: 'keys', request: { params: shapes.keyParams } } as const;
const VERSION = { path: '/api/v1/keys/{key}/versions/{version}', tag: 'keys' } as const;

/** The life of keys. Their material is in no answer. */
export function createKeyRoutes(service: KeyService): readonly KeyRoute[] {
  return [
    ...readingRoutes(service),
    ...changeRoutes(service),
    ...versionRoutes(service),
    ...jobRoutes(service),
  ];
}

function readingRoutes(service: KeyService): readonly KeyRoute[] {
  return [
    {
      ...RING,
      method: 'GET',
      guard: { permission: 'key.list', scope: collection },
      audit: 'key.list',
      summary: 'List the keys of the ring, and what is under each version',
      response: shapes.keys,
      handle: async () => ({ body: { keys: (await service.list()).map(shapes.keyView) } }),
    },
    {
      ...KEY,
      method: 'GET',
      guard: { permission: 'key.list', scope: one },
      audit: 'key.read',
      summary: 'Show a key, and what is under each version',
      response: shapes.key,
      problems: [problems.not_found],
      handle: async (call) => ({ body: shapes.keyView(await service.get(keyOf(call))) }),
    },
    {
      ...KEY,
      method: 'GET',
      path: `${KEY.path}/recipient`,
      guard: { permission: 'key.list', scope: one },
      audit: 'key.export_recipient',
      summary: 'Give the age recipient of a wrap key, to encrypt to',
      response: shapes.recipient,
      problems: [problems.not_found, problems.not_for_export],
      handle: (call) => ({ body: service.recipient(keyOf(call)) }),
    },
  ];
}

function changeRoutes(service: KeyService): readonly KeyRoute[] {
  return [
    {
      ...RING,
      method: 'POST',
      guard: { permission: 'key.create', scope: collection },
      audit: 'key.create',
      summary: 'Make a key',
      status: 201,
      request: { body: shapes.keyDraft },
      response: shapes.key,
      problems: [ringProblems.key_exists, ringProblems.rotation_refused, cryptoProblems.keyring_conflict],
      async handle(call) {
        const { name, purpose, rotateDays } = call.body as z.infer<typeof shapes.keyDraft>;
        call.note({ resource: `/keys/${name}`, detail: { purpose } });
        return { body: shapes.keyView(await service.create(name, purpose, rotateDays)) };
      },
    },
    {
      ...KEY,
      method: 'PATCH',
      guard: { permission: 'key.rotate', scope: one },
      audit: 'key.schedule',
      summary: 'Set after how many days a key is rotated by itself',
      request: { params: shapes.keyParams, body: shapes.schedule },
      response: shapes.key,
      problems: [problems.not_found, ringProblems.rotation_refused, cryptoProblems.keyring_conflict],
      async handle(call) {
        const { rotateDays } = call.body as z.infer<typeof shapes.schedule>;
        call.note({ detail: { rotateDays: rotateDays ?? 'never' } });
        return { body: shapes.keyView(await service.setRotateDays(keyOf(call), rotateDays)) };
      },
    },
    {
      ...KEY,
      method: 'POST',
      path: `${KEY.path}/rotate`,
      guard: { permission: 'key.rotate', scope: one },
      audit: 'key.rotate',
      summary: 'Make a new active version; what was sealed before stays under the old one',
      response: shapes.changedKey,
      problems: [problems.not_found, ringProblems.rotation_refused, cryptoProblems.keyring_conflict],
      async handle(call) {
        const report = await service.rotate(keyOf(call));
        call.note({ detail: { version: report.versions.length } });
        return { body: shapes.changedKeyView(report, 'rotate') };
      },
    },
  ];
}

function versionRoutes(service: KeyService): readonly KeyRoute[] {
  return [
    {
      ...VERSION,
      method: 'PATCH',
      guard: { permission: 'key.disable', scope: one },
      audit: 'key.disable',
      summary: 'Mark a key version as compromised, or take the mark back',
      request: { params: shapes.versionParams, body: shapes.mark },
      response: shapes.changedKey,
      problems: [
        problems.not_found,
        ringProblems.key_version_active,
        ringProblems.rotation_refused,
        cryptoProblems.keyring_conflict,
      ],
      async handle(call) {
        const { state } = call.body as z.infer<typeof shapes.mark>;
        call.note({ detail: { version: versionOf(call), state } });
        const report = await service.setState(keyOf(call), versionOf(call), state);
        return { body: shapes.changedKeyView(report, state) };
      },
    },
    {
      ...VERSION,
      method: 'DELETE',
      guard: { permission: 'key.destroy', scope: one },
      audit: 'key.destroy',
      summary: 'Destroy the material of a key version that nothing uses any more',
      request: { params: shapes.versionParams, query: shapes.confirmation },
      response: shapes.changedKey,
      problems: [
        problems.not_found,
        problems.not_confirmed,
        problems.version_in_use,
        problems.version_recent,
        ringProblems.key_version_active,
        cryptoProblems.keyring_conflict,
      ],
      async handle(call) {
        const key = keyOf(call);
        call.note({ detail: { version: versionOf(call) } });
        const { confirm } = call.query as z.infer<typeof shapes.confirmation>;
        if (confirm !== key)
          throw problems.not_confirmed(`add ?confirm=${key} to destroy the version for good`);
        return { body: shapes.changedKeyView(await service.destroy(key, versionOf(call)), 'destroy') };
      },
    },
  ];
}

function jobRoutes(service: KeyService): readonly KeyRoute[] {
  const summaries = {
    rewrap: 'Put what is under old versions of a key under its active one, data keys unchanged',
    reencrypt: 'Encrypt everything under a key anew, with new data keys',
  } as const;
  return (['rewrap', 'reencrypt'] as const).map((operation) => ({
    ...KEY,
    method: 'POST',
    path: `${KEY.path}/jobs/${operation}`,
    guard: { permission: 'key.rotate', scope: one },
    // What callers rewrap for themselves is `key.rewrap`.
    audit: `key.${operation}_all`,
    summary: summaries[operation],
    response: shapes.job,
    problems: [problems.not_found, problems.job_running, problems.clock_behind],
    async handle(call) {
      const report = await service[operation](keyOf(call), { signal: call.signal, msMax: JOB_MS_MAX });
      const { version, moved, finished } = report;
      const failed = report.places.reduce((sum, { failures }) => sum + failures.length, 0);
      call.note({ detail: { version, moved, failed, finished } });
      return { body: shapes.jobView(report, operation) };
    },
  }));
}
