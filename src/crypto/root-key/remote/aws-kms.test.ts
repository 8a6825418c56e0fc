import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { canonicalJson } from '../../../kernel/canonical-json.ts';
import { cryptoProblems } from '../../problems.ts';
import { temporaryDirectory } from '../../testing.ts';
import { createRootKeyProvider } from '../create-provider.ts';
import type { RootKeyDeps, RootKeyOptions } from '../root-key-options.ts';
import { rejects, rootKeyOptions, testDeps } from '../testing.ts';

const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const CREDENTIALS = { accessKeyId: 'EXAMPLEKEYID', secretAccessKey: 'an-example-secret-access-key' };

test('KMS wraps the root key with its encryption context, and the SDK signs for the key', async (t) => {
  const { provider, kms, home } = await keepWithKms(t);
  const made = await provider.initialise();
  assert.equal((await provider.open()).current.identity.reveal(), made.identity.reveal());
  assert.deepEqual(
    kms.calls.map(({ target }) => target),
    ['TrentService.Encrypt', 'TrentService.Decrypt'],
  );
  const { recipient } = JSON.parse(await readFile(join(home, 'root.key.sealed'), 'utf8')) as {
    recipient: string;
  };
  for (const { body } of kms.calls) {
    assert.equal(body['KeyId'], KEY);
    assert.deepEqual(body['EncryptionContext'], { application: 'modelkeep', purpose: 'root-key', recipient });
  }
  const next = await provider.rotate?.();
  const opened = await provider.open();
  assert.deepEqual([opened.current.id, (await opened.previous())?.id], [next?.id, made.id]);
  await provider.rewrap?.();
  assert.equal((await provider.open()).current.id, next?.id);
  await provider.close();
});

test('a swapped or changed ciphertext is refused by the context', async (t) => {
  const { provider, home } = await keepWithKms(t);
  await provider.initialise();
  const path = join(home, 'root.key.sealed');
  const first = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
  await provider.rotate?.();
  const second = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
  for (const change of [{ ciphertext: first['ciphertext'] }, { recipient: first['recipient'] }]) {
    await writeFile(path, JSON.stringify({ ...second, ...change }));
    const problem = await rejects(provider.open(), cryptoProblems.root_key_refused);
    assert.match(problem.detail, /InvalidCiphertextException/);
  }
  await writeFile(path, JSON.stringify({ ...second, keyId: 'alias/other' }));
  await rejects(provider.open(), cryptoProblems.root_key_mismatch);
});

test('what KMS says no to is refused; what it cannot do now is out of reach', async (t) => {
  const { provider, kms } = await keepWithKms(t);
  await provider.initialise();
  for (const name of [
    'AccessDeniedException',
    'DisabledException',
    'NotFoundException',
    'IncorrectKeyException',
  ]) {
    kms.failures.push({ status: 400, name });
    const problem = await rejects(provider.open(), cryptoProblems.root_key_refused, [
      CREDENTIALS.secretAccessKey,
    ]);
    assert.ok(problem.detail.includes(name));
  }
  for (const failure of [
    { status: 400, name: 'ThrottlingException' },
    { status: 500, name: 'KMSInternalException' },
    { status: 500, name: 'DependencyTimeoutException' },
  ]) {
    kms.failures.push(failure);
    await rejects(provider.open(), cryptoProblems.root_key_unreachable);
  }
  assert.equal((await provider.check()).ready, true);
  await kms.stop();
  await rejects(provider.open(), cryptoProblems.root_key_unreachable, [CREDENTIALS.secretAccessKey]);
  assert.deepEqual((await provider.check()).reasons, ['the root-key provider cannot be reached']);
});

test('another secret key is refused: the stand-in checks signatures as KMS does', async (t) => {
  const awsCredentials = { ...CREDENTIALS, secretAccessKey: 'a-wrong-secret' };
  const { provider } = await keepWithKms(t, { awsCredentials });
  const problem = await rejects(provider.initialise(), cryptoProblems.root_key_refused, ['a-wrong-secret']);
  assert.match(problem.detail, /InvalidSignatureException/);
});

test('without the SDK the message names the command that installs it', async (t) => {
  const loadKms = () =>
    Promise.reject(Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' }));
  const { provider } = await keepWithKms(t, { loadKms });
  const problem = await rejects(provider.initialise(), cryptoProblems.root_key_package_missing);
  assert.equal(
    problem.detail,
    'run in this checkout of modelkeep: npm install --save-dev @aws-sdk/client-kms',
  );
  assert.equal((await provider.check()).ready, false);
});

async function keepWithKms(t: TestContext, change: Partial<RootKeyDeps> = {}) {
  const home = await temporaryDirectory(t);
  const kms = await startKms(t);
  const awsKms: Partial<RootKeyOptions['awsKms']> = {
    keyId: KEY,
    region: 'eu-central-1',
    endpoint: kms.endpoint,
  };
  const deps = { ...testDeps(home), awsCredentials: CREDENTIALS, ...change };
  const provider = createRootKeyProvider(rootKeyOptions({ provider: 'aws-kms', awsKms }), deps);
  return { provider, kms, home };
}

interface Call {
  readonly target: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Two operations of KMS's JSON protocol; signatures and contexts are checked for real. */
async function startKms(t: TestContext) {
  const secret = randomBytes(32);
  const calls: Call[] = [];
  const failures: { readonly status: number; readonly name: string }[] = [];

  const operate = ({ target, body }: Call): Readonly<Record<string, unknown>> | string => {
    if (body['KeyId'] !== KEY) return 'NotFoundException';
    const context = Buffer.from(canonicalJson(body['EncryptionContext'] as Record<string, string>));
    if (target === 'TrentService.Encrypt') {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', secret, iv, { authTagLength: 16 });
      cipher.setAAD(context);
      const plaintext = Buffer.from(String(body['Plaintext']), 'base64');
      const sealed = Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
      return {
        KeyId: KEY,
        CiphertextBlob: sealed.toString('base64'),
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      };
    }
    if (target !== 'TrentService.Decrypt') return 'UnknownOperationException';
    const sealed = Buffer.from(String(body['CiphertextBlob']), 'base64');
    try {
      const opener = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, 12), { authTagLength: 16 });
      opener.setAAD(context);
      opener.setAuthTag(sealed.subarray(-16));
      const plaintext = Buffer.concat([opener.update(sealed.subarray(12, -16)), opener.final()]);
      return {
        KeyId: KEY,
        Plaintext: plaintext.toString('base64'),
        EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      };
    } catch {
      return 'InvalidCiphertextException';
    }
  };

  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const payload = await text(request);
    const target = String(request.headers['x-amz-target']);
    const call = { target, body: JSON.parse(payload) as Record<string, unknown> };
    calls.push(call);
    const failure = failures.shift();
    const plain =
      request.method === 'POST' &&
      request.url === '/' &&
      request.headers['content-type'] === 'application/x-amz-json-1.1';
    const result =
      failure?.name ??
      (plain
        ? isSigned(request, payload)
          ? operate(call)
          : 'InvalidSignatureException'
        : 'MalformedRequest');
    const status = typeof result === 'string' ? (failure?.status ?? 400) : 200;
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify(typeof result === 'string' ? { __type: result, message: 'no' } : result));
  };

  const server = http.createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  t.after(stop);
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls, failures, stop };
}

/** AWS Signature Version 4. */
function isSigned({ headers }: http.IncomingMessage, payload: string): boolean {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=EXAMPLEKEYID\/([0-9]{8}\/eu-central-1\/kms\/aws4_request), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/;
  const [, scope = '', signed = '', signature] = pattern.exec(String(headers['authorization'])) ?? [];
  const sha256 = (value: string): string => createHash('sha256').update(value).digest('hex');
  const lines = signed.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
  const canonical = ['POST', '/', '', lines.join(''), signed, sha256(payload)].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', String(headers['x-amz-date']), scope, sha256(canonical)].join('\n');
  const hmac = (key: string | Buffer, value: string): Buffer =>
    createHmac('sha256', key).update(value).digest();
  const key = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${CREDENTIALS.secretAccessKey}`);
  return hmac(key, toSign).toString('hex') === signature;
}
