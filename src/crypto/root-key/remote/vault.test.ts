import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { cryptoProblems } from '../../problems.ts';
import { temporaryDirectory } from '../../testing.ts';
import { createRootKeyProvider } from '../create-provider.ts';
import type { RootKeyOptions } from '../root-key-options.ts';
import { rejects, rootKeyOptions, testDeps } from '../testing.ts';
import { startVault, type VaultStandInOptions } from './vault-stand-in.ts';

const TOKEN = 'hvs.a-static-token';
const SECRETS = { VT: TOKEN, SECRET_ID: 'secret-1' };

for (const derived of [false, true]) {
  test(`a ${derived ? 'derived' : 'plain'} key wraps the root key, which opens again after the key was rotated`, async (t) => {
    const { provider, vault, home } = await keepWithVault(t, { derived }, { derived });
    const made = await provider.initialise();
    const first = await sealedIn(home);
    assert.deepEqual([first['provider'], first['keyId']], ['vault', 'transit/modelkeep']);
    assert.match(Buffer.from(first['ciphertext'] ?? '', 'base64').toString(), /^vault:v1:/);
    vault.rotate();
    assert.equal((await provider.open()).current.identity.reveal(), made.identity.reveal());

    await provider.rewrap?.();
    assert.match(Buffer.from((await sealedIn(home))['ciphertext'] ?? '', 'base64').toString(), /^vault:v2:/);
    assert.equal((await provider.open()).current.id, made.id);
    assert.equal(vault.requests.includes('POST /v1/transit/rewrap/modelkeep'), derived);

    const next = await provider.rotate?.();
    const opened = await provider.open();
    assert.deepEqual([opened.current.id, (await opened.previous())?.id], [next?.id, made.id]);
  });
}

test('AppRole: logs in once, again when the lease runs out or the token is revoked, and gives the token back', async (t) => {
  const login = { auth: 'approle', roleId: 'role-1', secretId: 'env:SECRET_ID' } as const;
  const { provider, vault, deps } = await keepWithVault(t, login, { leaseSeconds: 300 });
  await provider.initialise();
  await provider.open();
  const logins = () => vault.requests.filter((line) => line === 'POST /v1/auth/approle/login').length;
  assert.equal(logins(), 1);
  deps.clock.advance(199_000);
  await provider.open();
  assert.equal(logins(), 1);
  deps.clock.advance(2_000);
  await provider.open();
  assert.equal(logins(), 2);
  vault.tokens.clear();
  await provider.open();
  assert.equal(logins(), 3);
  await provider.close();
  assert.deepEqual(vault.revoked, [...vault.tokens]);
});

test('Kubernetes: logs in with the token of the service account, as it stands in its file now', async (t) => {
  const folder = await temporaryDirectory(t);
  const jwtFile = join(folder, 'token');
  await writeFile(jwtFile, 'jwt-1\n');
  const login = { auth: 'kubernetes', role: 'keep', jwtFile } as const;
  const { provider, vault } = await keepWithVault(t, login);
  await provider.initialise();
  await writeFile(jwtFile, 'jwt-of-another-account');
  vault.tokens.clear();
  const problem = await rejects(provider.open(), cryptoProblems.root_key_refused, ['jwt-of-another-account']);
  assert.match(problem.detail, /the login/);
  await rejects(
    (await keepWithVault(t, { ...login, jwtFile: join(folder, 'none') })).provider.initialise(),
    cryptoProblems.root_key_unreachable,
  );
});

test('namespace and mount are sent as they are configured', async (t) => {
  const { provider, vault } = await keepWithVault(
    t,
    { namespace: 'team/ml', mount: 'keys/transit', key: 'root-1' },
    { namespace: 'team/ml', mount: 'keys/transit', key: 'root-1' },
  );
  await provider.initialise();
  assert.deepEqual(vault.requests, ['POST /v1/keys/transit/encrypt/root-1']);
});

test('the certificates of a private authority are trusted when named, and only then', async (t) => {
  const pair = (name: string) =>
    readFileSync(new URL(`../../../http/testdata/${name}`, import.meta.url), 'utf8');
  const tls = { cert: pair('localhost.crt'), key: pair('localhost.key') };
  const caFile = join(await temporaryDirectory(t), 'ca.pem');
  await writeFile(caFile, tls.cert);
  const trusting = await keepWithVault(t, { caFile }, { tls });
  await trusting.provider.initialise();
  const wary = await keepWithVault(t, {}, { tls });
  const problem = await rejects(wary.provider.initialise(), cryptoProblems.root_key_unreachable);
  assert.match(problem.detail, /DEPTH_ZERO_SELF_SIGNED_CERT/);
  const astray = await keepWithVault(t, { caFile: `${caFile}.none` }, { tls });
  const lost = await rejects(astray.provider.initialise(), cryptoProblems.root_key_unreachable);
  assert.match(lost.detail, /rootKey\.vault\.caFile/);
});

test('a sealed or overloaded Vault is asked again, later each time, and then given up', async (t) => {
  const { provider, vault, deps } = await keepWithVault(t, { retriesMax: 4 });
  vault.failures.push(503, 429, 500, 412);
  const made = await provider.initialise();
  assert.deepEqual(deps.waits, [250, 3000, 1000, 2000]);
  deps.waits.length = 0;
  vault.failures.push(...Array<number>(5).fill(503));
  const problem = await rejects(provider.open(), cryptoProblems.root_key_unreachable, [TOKEN]);
  assert.match(problem.detail, /status 503/);
  assert.equal(deps.waits.length, 4);
  assert.equal((await provider.open()).current.id, made.id);
});

test('a Vault that is not there is out of reach; the keep that runs is told so, and when it is back', async (t) => {
  const { provider, vault } = await keepWithVault(t, { retriesMax: 1 });
  await provider.initialise();
  assert.deepEqual(await provider.check(), { ready: true, reasons: [] });
  await vault.stop();
  const problem = await rejects(provider.open(), cryptoProblems.root_key_unreachable, [TOKEN]);
  assert.match(problem.detail, /ECONNREFUSED/);
  const { ready, reasons } = await provider.check();
  assert.deepEqual([ready, reasons], [false, ['the root-key provider cannot be reached']]);
});

test('a redirect is not followed: the token is for the configured address alone', async (t) => {
  const { provider, vault } = await keepWithVault(t);
  vault.failures.push(307);
  const problem = await rejects(provider.initialise(), cryptoProblems.root_key_refused, [TOKEN]);
  assert.match(problem.detail, /307/);
});

test('a wrong token is refused at once, and stands nowhere in the message', async (t) => {
  const { provider, deps } = await keepWithVault(t, {}, { token: 'hvs.the-right-one' });
  await rejects(provider.initialise(), cryptoProblems.root_key_refused);
  assert.deepEqual(deps.waits, []);
  const broken = await keepWithVault(t, { token: 'env:BROKEN' });
  await rejects(broken.provider.initialise(), cryptoProblems.root_key_refused, ['two lines']);
});

test('a sealed file of another key, provider or keep is not opened, whatever it names', async (t) => {
  const { provider, vault, home } = await keepWithVault(t);
  const made = await provider.initialise();
  const path = join(home, 'root.key.sealed');
  const good = await sealedIn(home);
  const asked = vault.requests.length;
  for (const change of [
    { provider: 'aws-kms' },
    { keyId: 'transit/other' },
    { keyId: 'http://evil.example/x' },
  ]) {
    await writeFile(path, JSON.stringify({ v: 1, ...good, ...change }));
    await rejects(provider.open(), cryptoProblems.root_key_mismatch);
  }
  for (const text of [
    '',
    '{}',
    '[]',
    JSON.stringify({ ...good, v: 2 }),
    JSON.stringify({ ...good, address: 'x' }),
  ]) {
    await writeFile(path, text);
    await rejects(provider.open(), cryptoProblems.root_key_sealed_malformed);
  }
  assert.equal(vault.requests.length, asked, 'nothing was asked for a file that is not acceptable');

  const other = await keepWithVault(t, {}, {}, vault);
  const theirs = await other.provider.initialise();
  const swapped = await sealedIn(other.home);
  await writeFile(path, JSON.stringify({ ...good, ciphertext: swapped['ciphertext'] }));
  await rejects(provider.open(), cryptoProblems.root_key_refused);
  await writeFile(path, JSON.stringify({ ...swapped }));
  assert.equal(
    (await provider.open()).current.id,
    theirs.id,
    'which the key ring then refuses as a wrong root key',
  );

  const changed = Buffer.from(good['ciphertext'] ?? '', 'base64');
  changed[changed.length - 6] = (changed.at(-6) as number) ^ 1;
  await writeFile(path, JSON.stringify({ ...good, ciphertext: changed.toString('base64') }));
  await rejects(provider.open(), cryptoProblems.root_key_refused);
  await writeFile(path, JSON.stringify(good));
  assert.equal((await provider.open()).current.id, made.id);
});

test('a previous slot under another key of Vault opens with the name of that key', async (t) => {
  const { provider, home, vault } = await keepWithVault(t);
  const made = await provider.initialise();
  const next = createRootKeyProvider(
    rootKeyOptions({
      provider: 'vault',
      vault: { address: vault.address, token: 'env:VT', key: 'modelkeep', previousKey: 'before' },
    }),
    testDeps(home, SECRETS),
  );
  await next.rotate?.();
  await rejects((await next.open()).previous(), cryptoProblems.root_key_mismatch);
  assert.equal((await (await provider.open()).previous())?.id, made.id);
});

async function keepWithVault(
  t: TestContext,
  vaultOptions: Partial<RootKeyOptions['vault']> = {},
  standIn: VaultStandInOptions = {},
  existing?: Awaited<ReturnType<typeof startVault>>,
) {
  const home = join(await temporaryDirectory(t), 'keep');
  await mkdir(home);
  const vault = existing ?? (await startVault(t, { token: TOKEN, ...standIn }));
  const deps = testDeps(home, { ...SECRETS, BROKEN: 'two lines\r\nx-evil: 1' });
  const options = rootKeyOptions({
    provider: 'vault',
    vault: { address: vault.address, token: 'env:VT', key: 'modelkeep', ...vaultOptions },
  });
  return { provider: createRootKeyProvider(options, deps), vault, deps, home };
}

async function sealedIn(home: string): Promise<Record<string, string>> {
  return JSON.parse(await readFile(join(home, 'root.key.sealed'), 'utf8')) as Record<string, string>;
}
