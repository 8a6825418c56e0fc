import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInProcessClient } from '../src/server/in-process-client.ts';
import { createGate } from '../src/server/gate.ts';
import { openHouse } from '../src/server/house.ts';
import { createKeep, type Keep } from '../src/server/keep.ts';
import { loadConfig } from '../src/config/load.ts';
import type { Gate } from '../src/http/gate.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';

/** `node predict-server.ts HOME MODE`: one server of the predict bench; says `{port, key}` to its parent when it listens. */
const [home = '', mode = ''] = process.argv.slice(2);
const readFile = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};
const config = loadConfig({
  flags: { 'serving.defaultModel': 'default/iris' },
  env: {},
  homeDirectory: home,
  readFile,
});
const common = { home, config, clock: systemClock, log: silentLog };
await createKeep(common);
const house = await openHouse({ ...common, environment: {}, readFile, gate: gateOf });
const client = createInProcessClient(house.server, async () => {});
const model = join(import.meta.dirname, '..', 'examples', 'models', 'iris.onnx');
await client.request({
  method: 'POST',
  path: '/api/v1/projects/default/models/iris/versions',
  stream: createReadStream(model),
});
await client.request({ method: 'POST', path: '/api/v1/service-accounts', body: { name: 'load' } });
const owner = 'service-account:load';
const binding = { subject: owner, role: 'consumer', scope: '/projects/default' };
await client.request({ method: 'POST', path: '/api/v1/bindings', body: binding });
const { key } = await client.request<{ key: string }>({
  method: 'POST',
  path: '/api/v1/api-keys',
  body: { owner },
});
if (mode === 'guarded') await house.watch();
const address = await house.server.listen({ host: '127.0.0.1', port: 0 });
if (address.kind === 'tcp') process.send?.({ port: address.port, key });
process.once('disconnect', () => void house[Symbol.asyncDispose]().then(() => process.exit(0)));

/** `guarded`: as shipped. `unlogged`: identified and authorised, not recorded. `open`: security compiled out. */
function gateOf(keep: Keep): Gate {
  const { identity, access, audit, database, receipts, watch } = keep;
  const { authenticator } = identity;
  const shipped = createGate({
    authenticator,
    access,
    audit,
    database,
    responses: watch.responses,
    receipts,
    clock: systemClock,
    acceptBasic: true,
  });
  const place = { index: 0, leaf: new Uint8Array(32) };
  const record = async (): Promise<typeof place> => place;
  if (mode === 'guarded') return shipped;
  if (mode === 'unlogged') return { ...shipped, record };
  const principal = { kind: 'local', id: 'local:bench', name: 'bench', groups: [] } as const;
  const nobody = { principal, credential: { kind: 'local', id: 'local:bench' } } as const;
  return { ...shipped, identify: () => nobody, authorize: () => {}, record };
}
