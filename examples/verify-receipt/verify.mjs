// Checks a receipt offline, without Modelkeep: node verify.mjs RECEIPT VKEY [NONCES] [INPUT] [OUTPUT]
// Format: docs/formats/receipt.md. Node 20 or newer; no packages.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((each) => Buffer.from(each)))).digest();
const node = (left, right) => sha256([1], left, right);

function check(holds, what) {
  if (!holds) throw new Error(what);
}

function base64(text) {
  const bytes = Buffer.from(text, 'base64');
  check(bytes.toString('base64') === text, 'malformed base64');
  return bytes;
}

/** The checkpoint that the key signed: where it ends, all trust begins. */
function openCheckpoint(note, vkey) {
  const [, name, id, keyText] = /^([^\s+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey) ?? [];
  const key = base64(keyText ?? '');
  check(key.length === 33 && key[0] === 1, 'this is not an Ed25519 verifier key');
  check(sha256(`${name}\n`, key).toString('hex', 0, 4) === id, 'the verifier key is damaged');
  const x = key.subarray(1).toString('base64url');
  const publicKey = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  const split = note.lastIndexOf('\n\n') + 1;
  const text = note.slice(0, split);
  check(split > 0 && note.endsWith('\n'), 'the checkpoint is not a signed note');
  const lines = note.slice(split + 1, -1).split('\n').map((line) => /^\u2014 (\S+) (\S+)$/.exec(line));
  check(lines.every(Boolean), 'malformed signature line');
  const signatures = lines.filter((line) => line[1] === name).map((line) => base64(line[2]));
  const own = signatures.filter((bytes) => bytes.toString('hex', 0, 4) === id);
  check(own.length > 0, 'the checkpoint is not signed by this key');
  for (const bytes of own)
    check(verify(null, Buffer.from(text), publicKey, bytes.subarray(4)), 'the signature is wrong');
  const [, origin, size, root] = /^(.+)\n(0|[1-9]\d{0,15})\n(.+)\n$/.exec(text) ?? [];
  check(origin === name, 'the checkpoint is of another log');
  return { size: Number(size), root: base64(root) };
}

/** The root that a proof leads to, from the leaf upwards (RFC 9162, 2.1.3.2). */
function rootFrom(index, size, leaf, hashes) {
  check(index < size, 'the entry is not under the checkpoint');
  let [at, last, hash] = [BigInt(index), BigInt(size) - 1n, leaf];
  for (const sibling of hashes) {
    check(last > 0n, 'the proof is too long');
    const isRight = (at & 1n) === 1n || at === last;
    hash = isRight ? node(sibling, hash) : node(hash, sibling);
    if (isRight) while ((at & 1n) === 0n && at > 0n) [at, last] = [at >> 1n, last >> 1n];
    [at, last] = [at >> 1n, last >> 1n];
  }
  check(last === 0n, 'the proof is too short');
  return hash;
}

function verifyReceipt(receipt, vkey, nonces, input, output) {
  const match = /^c2sp\.org\/tlog-proof@v1\nextra (.+)\nindex (0|[1-9]\d{0,15})\n((?:.+\n)*)\n([^]*)$/.exec(receipt);
  check(match, 'this is not a receipt');
  const [, extra, index, hashText, note] = match;
  const hashes = hashText.split('\n').slice(0, -1).map(base64);
  check(hashes.every((hash) => hash.length === 32), 'a hash has the wrong length');
  const held = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(base64(extra)));
  const { size, root } = openCheckpoint(note, vkey);
  const leaf = sha256([0], held.entry);
  check(rootFrom(Number(index), size, leaf, hashes).equals(root), 'the entry is not in the log that was signed');
  const entry = JSON.parse(held.entry);
  const [inputNonce = held.nonces?.input, outputNonce = held.nonces?.output] = nonces?.split(',') ?? [];
  const opens = (nonce, bytes, commitment) => {
    check(base64(nonce ?? '').length === 16, 'there is no nonce, or it is not 16 bytes');
    return sha256(base64(nonce), bytes).toString('hex') === commitment;
  };
  check(input === undefined || opens(inputNonce, input, entry.input), 'this is not the input');
  check(output === undefined || opens(outputNonce, output, entry.output), 'this is not the output');
  return entry;
}

const [receiptFile, vkey, nonces, inputFile, outputFile] = process.argv.slice(2);
try {
  const files = [inputFile, outputFile].map((file) => (file ? readFileSync(file) : undefined));
  const receipt = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(receiptFile));
  console.log(JSON.stringify(verifyReceipt(receipt, vkey.trim(), nonces || undefined, ...files)));
} catch (error) {
  console.error(`refused: ${error.message}`);
  process.exitCode = 1;
}
