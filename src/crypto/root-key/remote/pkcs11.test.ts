import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import test, { type TestContext } from 'node:test';
import { cryptoProblems } from '../../problems.ts';
import { temporaryDirectory } from '../../testing.ts';
import { createRootKeyProvider } from '../create-provider.ts';
import { rejects, rootKeyOptions, testDeps } from '../testing.ts';
import type { Pkcs11Package } from './pkcs11.ts';

/** test/interop/root-key-pkcs11.interop.test.ts does the same and more with a real library. */

const PIN = '648219';

for (const mechanism of ['aes-gcm', 'aes-key-wrap-pad'] as const) {
  test(`a token wraps by ${mechanism}; every session is closed and the library let go`, async (t) => {
    const { provider, token } = await keepWithToken(t, mechanism);
    const made = await provider.initialise();
    assert.equal((await provider.open()).current.identity.reveal(), made.identity.reveal());
    assert.equal((await provider.check()).ready, true);
    assert.deepEqual([token.sessions, token.initialised, token.objects], [0, false, 0]);
    token.failing = 'C_OpenSession';
    await rejects(provider.open(), cryptoProblems.root_key_unreachable, [PIN]);
    assert.deepEqual([token.sessions, token.initialised], [0, false]);
    token.failing = undefined;
    assert.equal((await provider.open()).current.id, made.id);
  });
}

test('a PIN that the token refused is not tried again', async (t) => {
  const { provider, token } = await keepWithToken(t, 'aes-gcm');
  await provider.initialise();
  token.pin = 'changed';
  for (let i = 0; i < 5; i++) await rejects(provider.open(), cryptoProblems.root_key_refused, [PIN]);
  assert.equal((await provider.check()).ready, false);
  assert.equal(token.wrongPins, 1);
});

test('two keys with one label are refused, for one of them is not meant', async (t) => {
  const { provider, token } = await keepWithToken(t, 'aes-gcm');
  token.keys = 2;
  await rejects(provider.initialise(), cryptoProblems.root_key_refused);
  token.keys = 0;
  await rejects(provider.initialise(), cryptoProblems.root_key_refused);
});

test('without pkcs11js the message names the command that installs it', async (t) => {
  const { options, home } = await keepWithToken(t, 'aes-gcm');
  // Not injected: the package is not a dependency, so the real search fails.
  const provider = createRootKeyProvider(options, testDeps(home, { PIN }));
  const problem = await rejects(provider.initialise(), cryptoProblems.root_key_package_missing, [PIN]);
  assert.equal(problem.detail, 'run in this checkout of modelkeep: npm install --save-dev pkcs11js');
});

async function keepWithToken(t: TestContext, mechanism: 'aes-gcm' | 'aes-key-wrap-pad') {
  const home = await temporaryDirectory(t);
  const options = rootKeyOptions({
    provider: 'pkcs11',
    pkcs11: { module: '/lib/token.so', tokenLabel: 'keep', keyLabel: 'root', pin: 'env:PIN', mechanism },
  });
  const token = new Token();
  const loadPkcs11 = async (): Promise<Pkcs11Package> => ({
    PKCS11: function () {
      return token;
    } as unknown as Pkcs11Package['PKCS11'],
  });
  const deps = { ...testDeps(home, { PIN }), loadPkcs11 };
  return { provider: createRootKeyProvider(options, deps), token, options, home };
}

/** One token with one session; key wrap leaves the padding, as some tokens do. */
class Token {
  pin = PIN;
  keys = 1;
  failing: string | undefined;
  sessions = 0;
  initialised = false;
  objects = 0;
  wrongPins = 0;
  readonly #secret = randomBytes(32);
  #pending: { readonly iv: Buffer; readonly aad: Buffer } | undefined;
  #value: Buffer | undefined;

  load(path: string): void {
    assert.equal(path, '/lib/token.so');
  }
  C_Initialize(): void {
    assert.ok(!this.initialised);
    this.initialised = true;
  }
  C_Finalize(): void {
    assert.equal(this.sessions, 0);
    this.initialised = false;
  }
  C_GetSlotList(): Buffer[] {
    return [Buffer.from('empty'), Buffer.from('slot')];
  }
  C_GetTokenInfo(slot: Buffer): { readonly label: string } {
    return { label: (slot.toString() === 'slot' ? 'keep' : '').padEnd(32) };
  }
  C_OpenSession(): Buffer {
    this.#mayFail('C_OpenSession', 'CKR_DEVICE_REMOVED', 0x32);
    this.sessions++;
    return Buffer.from('session');
  }
  C_CloseSession(): void {
    this.sessions--;
  }
  C_Login(_session: Buffer, user: number, pin: string): void {
    assert.equal(user, 1);
    if (pin === this.pin) return;
    this.wrongPins++;
    throw Object.assign(new Error('CKR_PIN_INCORRECT'), { code: 0xa0 });
  }
  C_FindObjectsInit(_session: Buffer, template: readonly { readonly value?: unknown }[]): void {
    assert.deepEqual(
      template.map(({ value }) => value),
      [4, 0x1f, 'root'],
    );
  }
  C_FindObjects(_session: Buffer, countMax: number): Buffer[] {
    return Array.from({ length: Math.min(this.keys, countMax) }, () => Buffer.from('key'));
  }
  C_FindObjectsFinal(): void {}
  C_EncryptInit(_session: Buffer, { parameter }: { readonly parameter: { iv: Buffer; aad: Buffer } }): void {
    this.#pending = parameter;
  }
  C_Encrypt(_session: Buffer, input: Buffer): Buffer {
    assert.ok(this.#pending);
    const cipher = createCipheriv('aes-256-gcm', this.#secret, this.#pending.iv, { authTagLength: 16 });
    cipher.setAAD(this.#pending.aad);
    return Buffer.concat([cipher.update(input), cipher.final(), cipher.getAuthTag()]);
  }
  C_DecryptInit(_session: Buffer, mechanism: { readonly parameter: { iv: Buffer; aad: Buffer } }): void {
    this.C_EncryptInit(_session, mechanism);
  }
  C_Decrypt(_session: Buffer, input: Buffer): Buffer {
    assert.ok(this.#pending);
    const opener = createDecipheriv('aes-256-gcm', this.#secret, this.#pending.iv, { authTagLength: 16 });
    opener.setAAD(this.#pending.aad);
    opener.setAuthTag(input.subarray(-16));
    return Buffer.concat([opener.update(input.subarray(0, -16)), opener.final()]);
  }
  C_CreateObject(
    _session: Buffer,
    template: readonly { readonly type: number; readonly value?: unknown }[],
  ): Buffer {
    this.objects++;
    this.#value = template.find(({ type }) => type === 0x11)?.value as Buffer;
    return Buffer.from('object');
  }
  C_DestroyObject(): void {
    this.objects--;
  }
  C_WrapKey(): Buffer {
    assert.ok(this.#value);
    const cipher = createCipheriv('id-aes256-wrap-pad', this.#secret, Buffer.from('a65959a6', 'hex'));
    return Buffer.concat([cipher.update(this.#value), cipher.final()]);
  }
  C_UnwrapKey(_session: Buffer, _mechanism: object, _key: Buffer, wrapped: Buffer): Buffer {
    this.objects++;
    const opener = createDecipheriv('id-aes256-wrap-pad', this.#secret, Buffer.from('a65959a6', 'hex'));
    const value = Buffer.concat([opener.update(wrapped), opener.final()]);
    this.#value = Buffer.concat([value, Buffer.alloc((8 - (value.length % 8)) % 8)]);
    return Buffer.from('object');
  }
  C_GetAttributeValue(): { readonly value: Buffer }[] {
    return [{ value: Buffer.from(this.#value ?? '') }];
  }
  #mayFail(call: string, name: string, code: number): void {
    if (this.failing === call) throw Object.assign(new Error(name), { code });
  }
}
