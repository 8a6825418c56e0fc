import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access } from 'node:fs/promises';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createSealedValues } from '../../src/crypto/values/sealed-values.ts';
import { createSealKeySet } from '../../src/crypto/values/seal-key-set.ts';
import { Secret } from '../../src/kernel/secret.ts';

/** Sealed values and two JOSE libraries of Python, in a virtual environment of their own. */

const run = promisify(execFile);
const ENVIRONMENT = fileURLToPath(new URL('../../node_modules/.cache/interop-py-jose', import.meta.url));
const python = `${ENVIRONMENT}/bin/python3`;
const MISSING = 'jwcrypto and joserfc are not reachable; pip install jwcrypto joserfc';
const reachable = await findPackages();

/** Reads a JWE and a key, answers with what each library read, and with a JWE that each made. */
const PEER = `
import sys, json, base64
from jwcrypto import jwk, jwe as jwcrypto_jwe
from joserfc import jwe as joserfc_jwe
from joserfc.jwk import OctKey
question = json.load(sys.stdin)
b64 = lambda data: base64.b64encode(data).decode()
plaintext = base64.b64decode(question["plaintext"])
header = question["header"]

theirs = jwk.JWK(kty="oct", k=question["key"])
token = jwcrypto_jwe.JWE()
token.deserialize(question["token"], theirs)
made = jwcrypto_jwe.JWE(plaintext, json.dumps(header))
made.add_recipient(theirs)
first = {"header": token.jose_header, "plaintext": b64(token.payload), "token": made.serialize(compact=True)}

key = OctKey.import_key({"kty": "oct", "k": question["key"]})
registry = joserfc_jwe.JWERegistry(strict_check_header=False)
read = joserfc_jwe.decrypt_compact(question["token"], key, registry=registry)
second = {
    "header": read.headers(),
    "plaintext": b64(read.plaintext),
    "token": joserfc_jwe.encrypt_compact(header, plaintext, key, registry=registry),
}
print(json.dumps([first, second]))
`;

interface Peer {
  readonly header: unknown;
  readonly plaintext: string;
  readonly token: string;
}

test('Python JOSE libraries read our values, and we read theirs', async (t) => {
  if (!reachable) {
    t.skip(MISSING);
    return;
  }
  const key = randomBytes(32);
  const ring = createSealKeySet([{ name: 'customers', version: 7, key: new Secret(key) }]);
  const values = createSealedValues({ ring });
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  // Not an empty value: jwcrypto takes every empty plaintext for a failure.
  for (const plaintext of [everyByte, Buffer.alloc(1), Buffer.alloc(40_000, 7)]) {
    const path = 'customers/42/naïve';
    const header = { alg: 'dir', enc: 'A256GCM', kid: 'customers.7', path, typ: 'modelkeep-value' };
    const question = {
      key: key.toString('base64url'),
      plaintext: plaintext.toString('base64'),
      header,
      token: await values.seal('customers', path, plaintext),
    };
    const { status, stdout, stderr } = spawnSync(python, ['-c', PEER], {
      input: JSON.stringify(question),
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 0, stderr);
    const peers = JSON.parse(stdout) as readonly Peer[];
    assert.equal(peers.length, 2);
    for (const peer of peers) {
      assert.deepEqual(peer.header, header);
      assert.equal(peer.plaintext, question.plaintext);
      assert.ok(plaintext.equals((await values.open(path, peer.token)).reveal()));
      await assert.rejects(values.open('customers/43/naïve', peer.token));
    }
  }
});

/** Makes the environment if the network allows. */
async function findPackages(): Promise<boolean> {
  if (await hasPackages()) return true;
  try {
    await access(python).catch(() => run('python3', ['-m', 'venv', ENVIRONMENT], { timeout: 60_000 }));
    await run(python, ['-m', 'pip', 'install', '--quiet', 'jwcrypto', 'joserfc'], { timeout: 120_000 });
  } catch {
    return false;
  }
  return hasPackages();
}

function hasPackages(): Promise<boolean> {
  return run(python, ['-c', 'import jwcrypto.jwe, joserfc.jwe'], { timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}
