import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { cryptoProblems } from '../../src/crypto/problems.ts';
import { createPkcs11Wrapper, type Pkcs11Package } from '../../src/crypto/root-key/remote/pkcs11.ts';
import { createRemoteProvider } from '../../src/crypto/root-key/remote/remote-provider.ts';
import { resealKeyRing } from '../../src/crypto/root-key/reseal.ts';
import { createKeyRing, openKeyRing } from '../../src/crypto/ring/sealed-key-ring.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { isProblem, type ProblemDefinition } from '../../src/kernel/problem.ts';
import { Secret } from '../../src/kernel/secret.ts';

/** A PKCS#11 token in software: `apt-get install softhsm2`; and `pkcs11js`, which npm builds with python3, make and g++. */

const run = promisify(execFile);
const PACKAGE_FOLDER = fileURLToPath(new URL('../../node_modules/.cache/interop-pkcs11', import.meta.url));
const LIBRARIES = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];
const TOKEN = 'keep-token';
const PIN = '648219';
const OTHER_TOKEN = 'other-token';

const module = await firstPresent(LIBRARIES);
const pkcs11 = module === undefined ? undefined : await loadPackage();
const missing =
  module === undefined
    ? 'softhsm2 is not installed: apt-get install softhsm2'
    : pkcs11 === undefined
      ? 'pkcs11js could not be built: npm, python3, make and g++ are needed'
      : undefined;

for (const mechanism of ['aes-gcm', 'aes-key-wrap-pad'] as const) {
  test(`a token wraps the root key by ${mechanism}, and a keep's key ring opens with what it unwraps`, async (t) => {
    const place = await softToken(t);
    if (place === undefined) return;
    const wrapper = () => wrapperFor({ mechanism });
    const path = join(place, 'root.key.sealed');
    const provider = createRemoteProvider({ path, wrapper: wrapper(), previousWrapper: wrapper() });
    const made = await provider.initialise();
    const ring = { path: join(place, 'keyring.age'), clock: systemClock };
    await (await createKeyRing({ ...ring, rootIdentity: made.identity })).ensure('log', 'sign');

    const again = createRemoteProvider({ path, wrapper: wrapper(), previousWrapper: wrapper() });
    const { rootKey } = await resealKeyRing(ring.path, await again.open());
    assert.equal(rootKey.identity.reveal(), made.identity.reveal());
    assert.equal((await openKeyRing({ ...ring, rootIdentity: rootKey.identity })).list()[0]?.name, 'log');
    assert.deepEqual(await again.check(), { ready: true, reasons: [] });

    const sealed = await readFile(path, 'utf8');
    assert.ok(!sealed.includes('AGE-SECRET-KEY'));
    await provider.rotate?.();
    const moved = await resealKeyRing(ring.path, await again.open());
    assert.equal(moved.movedFrom?.id, made.id);
    assert.equal(await readFile(`${path}.previous`, 'utf8'), sealed);
    await provider.rewrap?.();
    assert.equal((await again.open()).current.id, moved.rootKey.id);
  });

  test(`a changed ciphertext is refused by ${mechanism}, at each byte`, async (t) => {
    if ((await softToken(t)) === undefined) return;
    const wrapper = wrapperFor({ mechanism });
    const context = { purpose: 'test' };
    const wrapped = await wrapper.wrap(Buffer.from('a root key of some length'), context);
    assert.equal(Buffer.from(await wrapper.unwrap(wrapped, context)).toString(), 'a root key of some length');
    for (const at of [0, 11, 12, 20, wrapped.length - 1]) {
      const changed = Buffer.from(wrapped);
      changed[at] = (changed[at] as number) ^ 1;
      await rejects(wrapper.unwrap(changed, context), cryptoProblems.root_key_refused);
    }
    await rejects(wrapper.unwrap(wrapped.subarray(0, -1), context), cryptoProblems.root_key_refused);
  });
}

test('aes-gcm binds the context', async (t) => {
  if ((await softToken(t)) === undefined) return;
  const wrapper = wrapperFor({});
  const wrapped = await wrapper.wrap(Buffer.from('x'), { recipient: 'age1one' });
  await rejects(wrapper.unwrap(wrapped, { recipient: 'age1two' }), cryptoProblems.root_key_refused);
});

test('a wrong PIN is tried once and no more, so that the token is not locked', async (t) => {
  if ((await softToken(t)) === undefined) return;
  const wrong = wrapperFor({ pin: '000000' });
  for (let i = 0; i < 20; i++) {
    const problem = await rejects(wrong.wrap(Buffer.from('x'), {}), cryptoProblems.root_key_refused);
    assert.match(problem.detail, /PIN/);
    assert.ok(!problem.detail.includes('000000'));
  }
  await wrapperFor({}).wrap(Buffer.from('x'), {});
});

test('a key or a token that is not there is told', async (t) => {
  const place = await softToken(t);
  if (place === undefined) return;
  await rejects(wrapperFor({ keyLabel: 'none' }).wrap(Buffer.from('x'), {}), cryptoProblems.root_key_refused);
  await rejects(
    wrapperFor({ tokenLabel: OTHER_TOKEN }).wrap(Buffer.from('x'), {}),
    cryptoProblems.root_key_unreachable,
  );
  const library = join(place, 'no-library.so');
  await rejects(
    wrapperFor({ module: library }).wrap(Buffer.from('x'), {}),
    cryptoProblems.root_key_unreachable,
  );
});

function wrapperFor(change: { mechanism?: 'aes-gcm' | 'aes-key-wrap-pad'; pin?: string } & Partial<Labels>) {
  const { pin = PIN, ...rest } = change;
  return createPkcs11Wrapper({
    module: module as string,
    tokenLabel: TOKEN,
    keyLabel: 'keep-root',
    mechanism: 'aes-gcm',
    ...rest,
    pin: () => new Secret(pin),
    load: async () => pkcs11 as Pkcs11Package,
  });
}

interface Labels {
  readonly module: string;
  readonly tokenLabel: string;
  readonly keyLabel: string;
}

/** A fresh token with one AES-256 key; its folder. Undefined, and the test skipped, where there is none to be had. */
async function softToken(t: TestContext): Promise<string | undefined> {
  if (missing !== undefined) {
    t.diagnostic(missing);
    t.skip(missing);
    return undefined;
  }
  const place = await mkdtemp(join(tmpdir(), 'modelkeep-pkcs11-'));
  t.after(() => rm(place, { recursive: true, force: true }));
  await mkdir(join(place, 'tokens'));
  const configuration = join(place, 'softhsm2.conf');
  await writeFile(configuration, `objectstore.backend = file\ndirectories.tokendir = ${place}/tokens\n`);
  process.env['SOFTHSM2_CONF'] = configuration;
  const init = ['--init-token', '--free', '--label', TOKEN, '--so-pin', '11111111', '--pin', PIN];
  await run('softhsm2-util', init);
  makeKey();
  return place;
}

/** An AES-256 key that does not leave the token. Numbers of PKCS#11 2.40. */
function makeKey(): void {
  type Calls = Record<string, (...args: readonly unknown[]) => unknown>;
  const { PKCS11 } = pkcs11 as unknown as { readonly PKCS11: new () => Calls };
  const token = new PKCS11();
  const call = (name: string, ...args: readonly unknown[]): unknown => token[name]?.(...args);
  call('load', module);
  call('C_Initialize');
  try {
    const slots = call('C_GetSlotList', true) as readonly Buffer[];
    const labelOf = (slot: Buffer): string =>
      (call('C_GetTokenInfo', slot) as { readonly label: string }).label;
    const slot = slots.find((each) => labelOf(each).trim() === TOKEN);
    const session = call('C_OpenSession', slot, 2 | 4);
    call('C_Login', session, 1, PIN);
    const onToken = 0x01;
    const uses = [0x103, 0x104, 0x105, 0x106, 0x107];
    call('C_GenerateKey', session, { mechanism: 0x1080 }, [
      { type: 0x00, value: 4 },
      { type: 0x100, value: 0x1f },
      { type: 0x161, value: 32 },
      { type: 0x03, value: 'keep-root' },
      ...[onToken, ...uses].map((type) => ({ type, value: true })),
    ]);
    call('C_CloseSession', session);
  } finally {
    call('C_Finalize');
  }
}

async function loadPackage(): Promise<Pkcs11Package | undefined> {
  const folder = join(PACKAGE_FOLDER, 'node_modules', 'pkcs11js');
  try {
    await access(join(folder, 'build', 'Release', 'pkcs11.node')).catch(async () => {
      await mkdir(PACKAGE_FOLDER, { recursive: true });
      await writeFile(
        join(PACKAGE_FOLDER, 'package.json'),
        '{"private": true, "allowScripts": {"pkcs11js": true}}',
      );
      const install = ['install', '--no-audit', '--no-fund', 'pkcs11js@2'];
      await run('npm', install, { cwd: PACKAGE_FOLDER, timeout: 240_000 });
    });
    return createRequire(import.meta.url)(folder) as Pkcs11Package;
  } catch {
    return undefined;
  }
}

async function firstPresent(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const present = await access(path).then(
      () => true,
      () => false,
    );
    if (present) return path;
  }
  return undefined;
}

async function rejects(promise: Promise<unknown>, definition: ProblemDefinition) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(isProblem(error, definition), String(error));
  return error;
}
