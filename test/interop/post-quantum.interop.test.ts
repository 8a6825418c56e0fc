import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openCheckpoint } from '../../src/audit/checkpoint.ts';
import { openAuditLog } from '../../src/audit/log.ts';
import { parseNote, parseVerifierKey } from '../../src/audit/note.ts';
import { createReceipts } from '../../src/audit/receipt/receipts.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';

/** ML-DSA-44 by others: OpenSSL as Python's `cryptography` has it, and `dilithium-py`, which is Python alone. */

const run = promisify(execFile);
const ENVIRONMENT = fileURLToPath(new URL('../../node_modules/.cache/interop-py-ml-dsa', import.meta.url));
/** It knows Ed25519 alone. */
const RECEIPT_VERIFIER = join(import.meta.dirname, '..', '..', 'examples', 'verify-receipt', 'verify.py');
const PEERS = {
  cryptography: `
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey
def verify(public, message, signature):
    try: MLDSA44PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature: return False
    return True
def sign(seed, message):
    key = MLDSA44PrivateKey.from_seed_bytes(seed)
    return key.public_key().public_bytes_raw(), key.sign(message)
`,
  'dilithium-py': `
from dilithium_py.ml_dsa import ML_DSA_44
verify = ML_DSA_44.verify
def sign(seed, message):
    public, private = ML_DSA_44.key_derive(seed)
    return public, ML_DSA_44.sign(private, message)
`,
} as const;

/** Reads a note from a file, and takes vkeys, checkpoints and lines apart by docs/formats/log.md. */
const PROGRAM = `
import sys, json, hashlib
from base64 import b64decode, b64encode
def message(name, origin, size, root, time):
    short = lambda text: bytes([len(text.encode())]) + text.encode()
    number = lambda value: value.to_bytes(8, "big")
    return b"subtree/v1\\n\\0" + short(name) + number(time) + short(origin) + number(0) + number(size) + root
def key_id(name, public): return hashlib.sha256(name.encode() + b"\\n\\x06" + public).digest()[:4]
verb, path, *rest = sys.argv[1:]
text, lines = open(path).read().rsplit("\\n\\n", 1)
origin, size, root = text.split("\\n")
head = (origin, int(size), b64decode(root))
if verb == "verify":
    name, id, key = rest[0].split("+", 2)
    typed = b64decode(key)
    assert typed[0] == 6 and len(typed) == 1313 and key_id(name, typed[1:]).hex() == id
    mine = [b64decode(line.split(" ")[2]) for line in lines.splitlines() if line.startswith("\\u2014 " + name + " ")]
    mine = [line for line in mine if line[:4].hex() == id]
    time = int.from_bytes(mine[0][4:12], "big")
    good = len(mine) == 1 and verify(typed[1:], message(name, *head, time), mine[0][12:])
    print(json.dumps({"good": good, "size": head[1], "time": time}))
else:
    seed, time = bytes.fromhex(rest[0]), 1679315147
    public, signature = sign(seed, message(origin, *head, time))
    id = key_id(origin, public)
    line = b64encode(id + time.to_bytes(8, "big") + signature).decode()
    vkey = origin + "+" + id.hex() + "+" + b64encode(b"\\x06" + public).decode()
    print(json.dumps({"vkey": vkey, "line": "\\u2014 " + origin + " " + line}))
`;

for (const peer of ['cryptography', 'dilithium-py'] as const) {
  test(`${peer} verifies the ML-DSA-44 line of our checkpoints, and we verify its`, async (t) => {
    const python = await pythonWith(peer);
    if (python === undefined) {
      t.skip(`Python with the package ${peer} is not reachable; pip install 'cryptography>=47' dilithium-py`);
      return;
    }
    const directory = join(await mkdtemp(join(tmpdir(), 'modelkeep-ml-dsa-')), 'log');
    t.after(() => rm(directory, { recursive: true }));
    const ask = async (...argv: readonly string[]): Promise<Readonly<Record<string, unknown>>> => {
      const { stdout } = await run(python, ['-c', PEERS[peer] + PROGRAM, ...argv]);
      return JSON.parse(stdout) as Readonly<Record<string, unknown>>;
    };
    const startedAt = Math.floor(systemClock.now() / 1000);
    const keys = [generateKeyPairSync('ed25519').privateKey, generateKeyPairSync('ml-dsa-44').privateKey];
    const [vkey = '', pq = ''] = await writeLog(directory, keys);
    const path = join(directory, 'checkpoint');
    const { good, size, time } = await ask('verify', path, pq);
    assert.deepEqual([good, size], [true, 300]);
    assert.ok((time as number) >= startedAt && (time as number) <= startedAt + 600);

    if (peer === 'cryptography') {
      const receipt = join(directory, 'receipt');
      await writeFile(receipt, await createReceipts({ directory }).read(7));
      // Rejects unless it ends with 0.
      await run(python, [RECEIPT_VERIFIER, receipt, vkey]);
    }

    const damaged = join(directory, 'damaged');
    const note = await readFile(path, 'utf8');
    const { text, signatures } = parseNote(note);
    for (const wrong of [
      note.replace('\n300\n', '\n301\n'),
      note.replace(/(.)(?=.{9}\n$)/u, (one) => (one === 'A' ? 'B' : 'A')),
    ]) {
      await writeFile(damaged, wrong);
      assert.equal((await ask('verify', damaged, pq))['good'], false);
    }

    const seed = Buffer.alloc(32, 7);
    const prefix = Buffer.from('3034020100300b060960864801650304031104228020', 'hex');
    const der = Buffer.concat([prefix, seed]);
    const own = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const theirs = (await ask('sign', path, seed.toString('hex'))) as { vkey: string; line: string };
    const verifiers = [vkey, theirs.vkey].map((each) => parseVerifierKey(each) ?? assert.fail(each));
    const cosigned = `${text}\n${signatures[0]?.line}\n${theirs.line}\n`;
    assert.equal(openCheckpoint(cosigned, verifiers).size, 300);
    assert.throws(() => openCheckpoint(note, verifiers), /no ML-DSA-44 signature/);
    const [, same] = await writeLog(join(directory, 'same'), [keys[0] ?? assert.fail(), own]);
    assert.equal(same, theirs.vkey, 'the same public key comes of the same seed');
  });
}

async function writeLog(
  directory: string,
  [signingKey, ...previousKeys]: readonly ReturnType<typeof createPrivateKey>[],
): Promise<readonly string[]> {
  const log = await openAuditLog({
    directory,
    signingKey: signingKey ?? assert.fail(),
    previousKeys,
    origin: 'keep.example.org/audit',
    clock: systemClock,
    log: silentLog,
  });
  for (let at = 0; at < 300; at++) {
    await log.append({
      phase: 'single',
      action: 'model.invoke',
      principal: { kind: 'user', id: 'usr_1' },
      decision: 'allow',
      reason: 'allowed',
    });
  }
  await log.close();
  return log.vkeys();
}

async function pythonWith(peer: keyof typeof PEERS): Promise<string | undefined> {
  const own = `${ENVIRONMENT}/bin/python3`;
  for (const candidate of [own, 'python3']) if (await has(candidate, peer)) return candidate;
  try {
    await access(own).catch(() => run('python3', ['-m', 'venv', ENVIRONMENT], { timeout: 60_000 }));
    const wanted = peer === 'cryptography' ? 'cryptography>=47' : peer;
    await run(own, ['-m', 'pip', 'install', '--quiet', wanted], { timeout: 120_000 });
  } catch {
    return undefined;
  }
  return (await has(own, peer)) ? own : undefined;
}

function has(python: string, peer: keyof typeof PEERS): Promise<boolean> {
  return run(python, ['-c', PEERS[peer]], { timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}
