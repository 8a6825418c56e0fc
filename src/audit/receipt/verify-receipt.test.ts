import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { signCheckpoint } from '../checkpoint.ts';
import { createNoteSigner, type NoteSigner } from '../note.ts';
import { serialiseEntry } from '../serialise.ts';
import { createRange, leafHash } from '../tree.ts';
import { formatReceipt, parseNonces, parseReceipt, type Receipt } from './receipt.ts';
import { parsePolicy, type Policy } from '../witness/policy.ts';
import { createCosigner } from '../witness/cosignature.ts';
import { openTestLog, PREDICTION, type TestLog } from './testing.ts';
import { ReceiptError } from './tlog-proof.ts';
import { type ReceiptQuestion, type ReceiptVerification, verifyReceipt } from './verify-receipt.ts';

let log: TestLog;
let text: string;
let receipt: Receipt;

before(async () => {
  log = await openTestLog();
  text = await log.receipts.full(log.index, log.nonces);
  receipt = parseReceipt(text);
});
after(() => log[Symbol.asyncDispose]());

const verify = (question: Partial<ReceiptQuestion> = {}): ReceiptVerification =>
  verifyReceipt({ receipt: text, keys: [log.audit.vkey], input: log.input, output: log.output, ...question });
const faultOf = (question: Partial<ReceiptQuestion>): string => {
  const result = verify(question);
  return result.ok ? 'none' : result.fault;
};
const changed = (change: Partial<Receipt>): Partial<ReceiptQuestion> => ({
  receipt: formatReceipt({ ...receipt, ...change }),
});

describe('a verified receipt', () => {
  it('says who asked which model what, and what follows from nothing', () => {
    const result = verify();
    assert.ok(result.ok);
    assert.equal(result.origin, 'keep.example.org/audit');
    assert.equal(result.index, 20);
    assert.equal(result.size, 41);
    assert.deepEqual(result.entry.principal, PREDICTION.principal);
    assert.deepEqual(result.entry.model, PREDICTION.model);
    assert.deepEqual([result.input, result.output], ['proven', 'proven']);
    assert.deepEqual(result.proven, [
      'keep.example.org/audit signed that entry 20 of its first 41 is this one',
      'user ada (usr_ada) attempted model.invoke on /projects/fraud/models/score/versions/3',
      'the decision was allow: allowed',
      `it concerned version 3 of the model, SHA-256 ${'5ca1'.repeat(16)}`,
      'the input is the one that the keep received',
      'the output is the one that the keep answered',
    ]);
    assert.deepEqual(result.unproven, [
      'that it happened at 2026-01-01T00:00:00.000Z: this is what the clock of the keep said',
      'that the log shows the same history to everyone: no witnesses were asked for',
    ]);
  });

  it('is read from bytes, and with nonces from the header of the answer', async () => {
    const bare = await log.receipts.read(log.index);
    assert.deepEqual(parseReceipt(bare).nonces, {});
    const { input, output } = log.nonces;
    const header = [input, output].map((each) => Buffer.from(each).toString('base64')).join(',');
    const result = verify({ receipt: Buffer.from(bare), nonces: parseNonces(header) });
    assert.ok(result.ok && result.input === 'proven' && result.output === 'proven');
  });

  it('says so when the bytes were not given, or the entry commits to none', async () => {
    const { input: _, output: __, ...question } = { ...verifyQuestion() };
    const result = verifyReceipt(question);
    assert.ok(result.ok);
    assert.deepEqual([result.input, result.output], ['unchecked', 'unchecked']);
    assert.equal(result.unproven.length, 4);
    const other = verifyReceipt({ keys: [log.audit.vkey], receipt: await log.receipts.read(0) });
    assert.ok(other.ok && other.input === 'absent' && other.output === 'absent');
    assert.match(other.unproven.join(), /the entry commits to neither/);
    assert.equal(faultOf({ receipt: await log.receipts.read(0) }), 'input');
  });

  it('is that of any of the keys', () => {
    const other = createNoteSigner('keep.example.org/audit', generateKeyPairSync('ed25519').privateKey);
    assert.equal(faultOf({ keys: [other.vkey, log.audit.vkey] }), 'none');
    assert.equal(faultOf({ keys: [other.vkey] }), 'signature');
    assert.throws(() => verify({ keys: [] }), TypeError);
    assert.throws(() => verify({ keys: ['nonsense'] }), TypeError);
  });
});

describe('a receipt with a policy', () => {
  const witness = createCosigner('witness.example', generateKeyPairSync('ed25519').privateKey);
  const policyOf = (quorum: string): Policy =>
    parsePolicy(Buffer.from(`log ${log.audit.vkey}\nwitness w ${witness.vkey}\nquorum ${quorum}\n`));
  const cosigned = (): Partial<ReceiptQuestion> => {
    const body = receipt.checkpoint.slice(0, receipt.checkpoint.indexOf('\n\n') + 1);
    return changed({ checkpoint: `${receipt.checkpoint}${witness.cosign(body, 1_770_000_000)}\n` });
  };

  it('needs the cosignatures of a quorum, and says that they are there', () => {
    const result = verify({ ...cosigned(), policy: policyOf('w') });
    assert.ok(result.ok);
    assert.match(result.proven.at(-1) ?? '', /a quorum of the witnesses/);
    assert.equal(result.unproven.length, 1);
    assert.equal(faultOf({ policy: policyOf('w') }), 'witnesses');
    assert.equal(faultOf({ policy: policyOf('none') }), 'none');
    assert.equal(faultOf(cosigned()), 'none');
  });

  it('takes the keys of the log from it', () => {
    const { keys: _, ...question } = verifyQuestion();
    assert.ok(verifyReceipt({ ...question, policy: policyOf('none') }).ok);
    assert.throws(() => verifyReceipt(question), TypeError);
  });

  it('is refused when a cosignature is of another checkpoint', () => {
    const { receipt: text } = cosigned();
    const other = witness.cosign('keep.example.org/audit\n1\nAAAA\n', 1_770_000_000);
    const forged = String(text).replace(/\u2014 witness\.example .*\n$/, `${other}\n`);
    assert.equal(faultOf({ receipt: forged, policy: policyOf('w') }), 'witnesses');
  });
});

const verifyQuestion = (): ReceiptQuestion => ({
  receipt: text,
  keys: [log.audit.vkey],
  input: log.input,
  output: log.output,
});

describe('a receipt is refused', () => {
  it('with other bytes than were sent or answered, or another nonce', () => {
    assert.equal(faultOf({ input: log.output }), 'input');
    assert.equal(faultOf({ input: Buffer.concat([log.input, Buffer.from('\n')]) }), 'input');
    assert.equal(faultOf({ output: new Uint8Array() }), 'output');
    assert.equal(faultOf({ nonces: { input: Buffer.alloc(16) } }), 'input');
    assert.equal(faultOf({ nonces: { output: Buffer.alloc(15) } }), 'nonce');
    const shifted = Buffer.concat([log.nonces.input, log.input.subarray(0, 3)]);
    assert.equal(faultOf({ input: log.input.subarray(3), nonces: { input: shifted } }), 'nonce');
    assert.equal(faultOf(changed({ nonces: {} })), 'nonce');
    assert.equal(
      faultOf(changed({ nonces: { input: log.nonces.output, output: log.nonces.input } })),
      'input',
    );
  });

  it('when entry, index, hashes or checkpoint are of another place', async () => {
    const other = parseReceipt(await log.receipts.read(3));
    await log.audit.append(PREDICTION);
    const later = parseReceipt(await log.receipts.full(41));
    assert.equal(faultOf(changed({ entry: other.entry })), 'inclusion');
    assert.equal(faultOf(changed({ index: other.index })), 'inclusion');
    assert.equal(faultOf(changed({ index: receipt.index + 1 })), 'inclusion');
    assert.equal(faultOf(changed({ index: 41 })), 'inclusion');
    assert.equal(faultOf(changed({ index: 2 ** 53 - 1 })), 'inclusion');
    assert.equal(faultOf(changed({ hashes: other.hashes })), 'inclusion');
    assert.equal(faultOf(changed({ hashes: receipt.hashes.slice(1) })), 'inclusion');
    assert.equal(faultOf(changed({ hashes: receipt.hashes.slice(0, -1) })), 'inclusion');
    assert.equal(faultOf(changed({ hashes: receipt.hashes.toReversed() })), 'inclusion');
    assert.equal(
      faultOf(changed({ hashes: [...receipt.hashes, receipt.hashes[0] as Uint8Array] })),
      'inclusion',
    );
    assert.equal(faultOf(changed({ hashes: [] })), 'inclusion');
    assert.equal(faultOf(changed({ checkpoint: later.checkpoint })), 'inclusion');
  });

  it('when its checkpoint is forged, stale, of another log, or followed by garbage', () => {
    const { checkpoint } = receipt;
    const [origin, size, root] = checkpoint.split('\n');
    const swapped = checkpoint.replace(root ?? '', Buffer.alloc(32, 1).toString('base64'));
    assert.equal(faultOf(changed({ checkpoint: swapped })), 'signature');
    assert.equal(
      faultOf(changed({ checkpoint: checkpoint.replace(`${size}\n`, `0${size}\n`) })),
      'signature',
    );
    assert.equal(faultOf(changed({ checkpoint: checkpoint.replace(`${size}\n`, '40\n') })), 'signature');
    assert.equal(faultOf(changed({ checkpoint: checkpoint.replaceAll(origin ?? '', 'x') })), 'signature');
    assert.equal(faultOf(changed({ checkpoint: '' })), 'signature');
    assert.equal(faultOf(changed({ checkpoint: `${checkpoint}garbage` })), 'signature');
    assert.equal(faultOf(changed({ checkpoint: `${checkpoint}\n` })), 'signature');
    assert.equal(faultOf(changed({ checkpoint: checkpoint + checkpoint })), 'signature');
    assert.equal(faultOf(changed({ checkpoint: checkpoint.slice(0, -1) })), 'signature');
  });

  it('when it was signed as another kind of entry, though the signature is good', () => {
    const signer = createNoteSigner('a', generateKeyPairSync('ed25519').privateKey);
    const fault = (entry: Uint8Array): string =>
      faultOf({ receipt: signedAlone(entry, signer), keys: [signer.vkey] });
    assert.equal(fault(Buffer.from('{"v":2}')), 'entry');
    assert.equal(fault(Buffer.from('not JSON')), 'entry');
    assert.equal(fault(Buffer.from('')), 'entry');
    const entry = { ...PREDICTION, v: 1, id: 'x', time: '2026-01-01T00:00:00.000Z' } as const;
    assert.equal(fault(Buffer.from(serialiseEntry(entry))), 'input');
  });

  it('when its extra data is not exactly an entry and nonces', () => {
    const swap = (extra: string | Uint8Array): Partial<ReceiptQuestion> => ({
      receipt: text.replace(/^extra .*$/m, `extra ${Buffer.from(extra).toString('base64')}`),
    });
    const entry = Buffer.from(receipt.entry).toString();
    const nonce = Buffer.alloc(16).toString('base64');
    for (const extra of [
      '',
      'null',
      '7',
      '[]',
      '{}',
      '{"entry":7}',
      '{"entry":"\\ud800"}',
      Buffer.from([0x7b, 0xff]),
      ` ${JSON.stringify({ entry })}`,
      JSON.stringify({ entry, more: 1 }),
      JSON.stringify({ entry, nonces: {} }),
      JSON.stringify({ entry, nonces: null }),
      JSON.stringify({ entry, nonces: { input: 7 } }),
      JSON.stringify({ entry, nonces: { input: 'AAAA' } }),
      JSON.stringify({ entry, nonces: { output: nonce, input: nonce } }),
      JSON.stringify({ entry, nonces: { input: nonce, other: nonce } }),
      `{"entry":"x",${JSON.stringify({ entry }).slice(1)}`,
    ])
      assert.equal(faultOf(swap(extra)), 'format', String(extra));
    assert.equal(faultOf({ receipt: text.replace(/^extra .*\n/m, '') }), 'format');
    assert.equal(faultOf({ receipt: Buffer.from([0xff, 0xfe]) }), 'format');
  });

  it('with any one of its bits flipped, and never crashes', () => {
    const bytes = Buffer.from(text);
    // Every byte once, each with another bit; then more of both at random.
    for (let at = 0; at < bytes.length; at++) {
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
      assert.ok(!verify({ receipt: bytes }).ok, `byte ${at}`);
      bytes[at] = (bytes[at] as number) ^ (1 << (at % 8));
    }
    assert.ok(verify({ receipt: bytes }).ok);
  });

  it('after any edit at all, and never crashes', () => {
    const bytes = Buffer.from(text);
    const edits = fc.record({
      at: fc.nat({ max: bytes.length }),
      remove: fc.nat({ max: 80 }),
      insert: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom('\n', '\n\n', '0', '=', 'index 3\n', '\0').map((each) => Buffer.from(each)),
      ),
    });
    fc.assert(
      fc.property(edits, ({ at, remove, insert }) => {
        const edited = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
        assert.equal(verify({ receipt: edited }).ok, edited.equals(bytes));
      }),
      { numRuns: 400 },
    );
  });
});

describe('the nonces of an answer', () => {
  it('are two base64 texts, or that of the input alone', () => {
    const nonce = Buffer.alloc(16, 3).toString('base64');
    assert.deepEqual(Object.keys(parseNonces(nonce)), ['input']);
    assert.deepEqual(Object.keys(parseNonces(`${nonce},${nonce}`)), ['input', 'output']);
    assert.deepEqual(Object.keys(parseNonces(`,${nonce}`)), ['output']);
    for (const wrong of ['', ',', `${nonce},`, `${nonce},${nonce},`, `${nonce}, ${nonce}`, 'AAAA,AAAA'])
      assert.throws(() => parseNonces(wrong), ReceiptError, wrong);
  });
});

/** The receipt of a log of this one entry. */
function signedAlone(entry: Uint8Array, signer: NoteSigner): string {
  const range = createRange();
  range.append(leafHash(entry));
  const checkpoint = signCheckpoint({ origin: signer.name, size: 1, root: range.root() }, signer);
  return formatReceipt({ entry, nonces: {}, index: 0, hashes: [], checkpoint });
}
