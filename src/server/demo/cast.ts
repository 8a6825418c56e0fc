import { randomInt } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { ApiFailure, apiPath, type KeepClient } from '../../cli/keep-client.ts';
import { Secret } from '../../kernel/secret.ts';

/** Who and what the demo keep holds; the secrets are new at every start. */
export interface Cast {
  /** May invoke. */
  readonly ada: { readonly name: string; readonly password: Secret<string> };
  /** May look, may not invoke. */
  readonly bob: { readonly name: string; readonly password: Secret<string> };
  /** A workload that may invoke. */
  readonly checkout: { readonly name: string; readonly key: Secret<string> };
  readonly models: readonly DemoModel[];
}

export interface DemoModel {
  readonly name: string;
  readonly number: number;
  readonly digest: string;
  readonly bytes: number;
}

const MODELS = ['polarity', 'iris', 'spam'];
const MODELS_DIRECTORY = join(import.meta.dirname, '..', '..', '..', 'examples', 'models');
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  polarity: 'The sign of a number, as a word',
  iris: 'The species of an iris flower from four measurements',
  spam: 'Whether a mail is spam, from its text',
};

/**
 * Puts the demo's models and principals into the keep behind `client`. What is there already stays; passwords are set
 * anew, and the workload gets a new key in place of its old ones.
 */
export async function engageCast(client: KeepClient): Promise<Cast> {
  await unlessExists(client.request({ method: 'POST', path: '/api/v1/projects', body: { name: 'default' } }));
  const models: DemoModel[] = [];
  for (const name of MODELS) models.push(await ensureModel(client, name));

  const ada = await ensureUser(client, 'ada', 'consumer');
  const bob = await ensureUser(client, 'bob', 'viewer');
  const account = { name: 'checkout', display: 'The checkout service' };
  await unlessExists(client.request({ method: 'POST', path: '/api/v1/service-accounts', body: account }));
  await ensureBinding(client, 'service-account:checkout', 'consumer');
  return {
    ada,
    bob,
    checkout: { name: 'checkout', key: await renewKey(client, 'service-account:checkout') },
    models,
  };
}

async function ensureModel(client: KeepClient, name: string): Promise<DemoModel> {
  const model = apiPath`/api/v1/projects/default/models/${name}`;
  const present = await client
    .request<{ versions: readonly Omit<DemoModel, 'name'>[] }>({ method: 'GET', path: model })
    .catch(ifMissing);
  const version =
    present?.versions[0] ??
    (await client.request<Omit<DemoModel, 'name'>>({
      method: 'POST',
      path: `${model}/versions`,
      query: { description: DESCRIPTIONS[name] },
      stream: createReadStream(join(MODELS_DIRECTORY, `${name}.onnx`)),
    }));
  return { name, number: version.number, digest: version.digest, bytes: version.bytes };
}

async function ensureUser(
  client: KeepClient,
  name: string,
  role: string,
): Promise<{ name: string; password: Secret<string> }> {
  const password = newPassword();
  const body = { password: password.reveal() };
  const created = await unlessExists(
    client.request({ method: 'POST', path: '/api/v1/users', body: { name, ...body } }),
  );
  if (!created) await client.request({ method: 'PUT', path: apiPath`/api/v1/users/${name}/password`, body });
  await ensureBinding(client, `user:${name}`, role);
  return { name, password };
}

async function ensureBinding(client: KeepClient, subject: string, role: string): Promise<void> {
  const body = { subject, role, scope: '/projects/default', reason: 'the demo' };
  await unlessExists(client.request({ method: 'POST', path: '/api/v1/bindings', body }));
}

async function renewKey(client: KeepClient, owner: string): Promise<Secret<string>> {
  const { keys } = await client.request<{ keys: readonly { id: string; revokedAt: number | null }[] }>({
    method: 'GET',
    path: '/api/v1/api-keys',
    query: { owner },
  });
  for (const key of keys.filter((key) => key.revokedAt === null)) {
    await client.request({ method: 'DELETE', path: apiPath`/api/v1/api-keys/${key.id}` });
  }
  const body = { owner, label: 'demo', expiresInDays: 1 };
  const { key } = await client.request<{ key: string }>({ method: 'POST', path: '/api/v1/api-keys', body });
  return new Secret(key);
}

/** True if the request made something, false if it was there already. */
async function unlessExists(request: Promise<unknown>): Promise<boolean> {
  try {
    await request;
    return true;
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 409) return false;
    throw error;
  }
}

function ifMissing(error: unknown): undefined {
  if (error instanceof ApiFailure && error.status === 404) return undefined;
  throw error;
}

const SYLLABLES =
  'ba be bo da de do fa fe fi ka ke ki la le lo ma me mo na ne no pa pe po ra re ro sa se so ta te to'.split(
    ' ',
  );

/** Four words of six letters: 4 × 3 syllables of 36, 62 bits, and no character that a shell would touch. */
function newPassword(): Secret<string> {
  const word = (): string => Array.from({ length: 3 }, () => SYLLABLES[randomInt(SYLLABLES.length)]).join('');
  return new Secret([word(), word(), word(), word()].join('-'));
}
