import { createReadStream } from 'node:fs';
import { request as sendRequest } from 'node:http';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { PERMISSIONS } from '../../src/access/catalogue.ts';
import type { Entry } from '../../src/audit/entry.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Route } from '../../src/http/route.ts';
import { createRouteTable } from '../../src/server/route-table.ts';
import { openTemporaryHouse, type TemporaryHouse } from './temporary-house.ts';
import { type Trial, TRIAL_LIMITS, type TrialRequest, TRIALS } from './trials.ts';

/** One trial of one route: what it answered, and what it left in the log. */
export interface Cell {
  readonly route: Route;
  readonly trial: Trial;
  readonly status: number;
  readonly allow: string | undefined;
  readonly entries: readonly Entry[];
}

/** What answers otherwise than its row promises, and why: a new one is the change under review. */
export const EXCEPTIONS: Readonly<Record<string, { readonly status: number; readonly reason: string }>> = {
  'no rights: GET /api/v1/whoami': { status: 200, reason: 'tells callers about themselves alone' },
  'no rights: GET /api/v1/models': { status: 200, reason: 'lists what the caller may read: here nothing' },
  'no rights: POST /api/v1/access/can-i': { status: 200, reason: 'callers may ask about themselves' },
  'no rights: POST /api/v1/access/explain': { status: 200, reason: 'callers may ask about themselves' },
  'unknown: DELETE /api/v1/keys/{key}/versions/{version}': {
    status: 400,
    reason: 'asks for a confirmation before it looks',
  },
};

export function nameOf({ trial, route }: Pick<Cell, 'trial' | 'route'>): string {
  return `${trial.name}: ${route.method} ${route.path}`;
}

const POLARITY = join(import.meta.dirname, '..', '..', 'examples', 'models', 'polarity.onnx');

/** Does every trial to every route of a keep of its own, over HTTP. */
export async function walkStatusMatrix(): Promise<readonly Cell[]> {
  await using place = await openTemporaryHouse({
    'limits.bodyBytesMax': String(TRIAL_LIMITS.bodyBytesMax),
    'limits.streamBytesMax': String(TRIAL_LIMITS.streamBytesMax),
    'serving.defaultModel': 'default/polarity',
  });
  const { audit } = place.house.keep;
  const routes = routesOf(place);
  const credentials = await engage(place);
  // Entry 1, which some trials name, is under a checkpoint from here on.
  await audit.checkpoint();
  const found: (Omit<Cell, 'entries'> & { readonly from: number; readonly to: number })[] = [];
  for (const route of routes) {
    for (const trial of TRIALS) {
      const request = trial.request(route, routes);
      if (request === undefined) continue;
      const from = audit.size();
      const answer = await send(place.base, request, credentials[request.as]);
      found.push({ route, trial, ...answer, from, to: audit.size() });
    }
  }
  const entries = await readEntries(place);
  return found.map(({ from, to, ...cell }) => ({ ...cell, entries: entries.slice(from, to) }));
}

function routesOf({ house, home }: TemporaryHouse): readonly Route[] {
  const flags = { 'serving.defaultModel': 'default/polarity' };
  const config = loadConfig({ flags, env: {}, homeDirectory: home, readFile: () => undefined });
  return createRouteTable({ keep: house.keep, config, metrics: new Registry(), release: '0' });
}

/** A model, a principal that may do nothing and one that may do everything. */
async function engage({ client }: TemporaryHouse): Promise<Record<TrialRequest['as'], string | undefined>> {
  const post = <T>(path: string, body: unknown): Promise<T> =>
    client.request<T>({ method: 'POST', path: `/api/v1/${path}`, body });
  await client.request({
    method: 'POST',
    path: '/api/v1/projects/default/models/polarity/versions',
    query: { alias: 'production' },
    stream: createReadStream(POLARITY),
  });
  await post('roles', { name: 'everything', permissions: PERMISSIONS });
  const bearer = async (name: string): Promise<string> => {
    await post('service-accounts', { name });
    const { key } = await post<{ key: string }>('api-keys', { owner: `service-account:${name}` });
    return `Bearer ${key}`;
  };
  const sovereign = await bearer('sovereign');
  await post('bindings', { subject: 'service-account:sovereign', role: 'everything', scope: '/' });
  return { nobody: undefined, powerless: await bearer('powerless'), sovereign };
}

function send(
  base: string,
  { method, path, headers, body, announced }: TrialRequest,
  authorization: string | undefined,
): Promise<Pick<Cell, 'status' | 'allow'>> {
  const length = announced ?? (body === undefined ? undefined : Buffer.byteLength(body));
  const given = {
    ...headers,
    ...(authorization !== undefined && { authorization }),
    ...(length !== undefined && { 'content-length': length }),
  };
  return new Promise((resolve, reject) => {
    const request = sendRequest(base + path, { method, headers: given, agent: false }, (response) => {
      const { statusCode: status = 0, headers: answered } = response;
      response.resume().once('close', () => resolve({ status, allow: answered.allow }));
      if (announced !== undefined) request.destroy();
    });
    request.once('error', (error) => {
      if (announced === undefined) reject(error);
    });
    if (announced === undefined) request.end(body);
    else request.flushHeaders();
  });
}

async function readEntries({ house }: TemporaryHouse): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (let before: number | undefined; ; ) {
    const page = await house.keep.audit.entries({ limit: 1000, ...(before !== undefined && { before }) });
    for (const { index, entry } of page.entries) entries[index] = entry;
    if (page.before === undefined) return entries;
    before = page.before;
  }
}

/** `docs/reference/status-matrix.md`. */
export function renderStatusMatrix(cells: readonly Cell[]): string {
  const rows = Map.groupBy(cells, ({ route }) => `${route.method} ${route.path}`);
  const lines = [...rows]
    .toSorted(([a], [b]) => (a.slice(a.indexOf(' ')) < b.slice(b.indexOf(' ')) ? -1 : 1))
    .map(([name, found]) => {
      const statuses = TRIALS.map((trial) => {
        const cell = found.find((each) => each.trial === trial);
        if (cell === undefined) return '';
        return nameOf(cell) in EXCEPTIONS ? `${cell.status} *` : String(cell.status);
      });
      return `| \`${name}\` | ${statuses.join(' | ')} |`;
    });
  const reasons = Object.entries(EXCEPTIONS).map(([name, { reason }]) => `- ${name}: ${reason}`);
  return `# Status matrix

What each route answers to a request that must not succeed. The table is made by sending the requests to a running server
(\`npm run docs\`); a test does the same, compares each answer with what the row of the route table promises, and looks
that each attempt has its entry in the audit log.

Each column is one trial:

${TRIALS.map(({ name, about }) => `- **${name}**: ${about}`).join('\n')}

An empty cell: there is nothing to try, because the route is public, or takes no such thing. The routes of the Open
Inference Protocol write 422 as 400, as its clients expect.

| route | ${TRIALS.map(({ name }) => name).join(' | ')} |
|---|${TRIALS.map(() => '---|').join('')}
${lines.join('\n')}

Exceptions (*):

${reasons.join('\n')}
`;
}
