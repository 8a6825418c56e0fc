import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createNoteSigner } from '../../audit/note.ts';
import { encodeTile } from '../../audit/tile.ts';
import { EMPTY_ROOT } from '../../audit/tree.ts';
import { openTestLog, PREDICTION, type TestLog } from '../../audit/receipt/testing.ts';
import { createContext } from '../context.ts';
import { createProgram, runProgram } from '../program.ts';
import { createFakeAccess, createTestIo, type Outcome } from '../testing.ts';
import { addAuditReceiptCommands } from './audit-receipts.ts';

let log: TestLog;
let place: string;
let older: string;

async function type(...argv: readonly string[]): Promise<Outcome> {
  const io = createTestIo();
  const program = createProgram(io, '1.2.3');
  let exitCode = 0;
  const context = createContext(program, {
    access: createFakeAccess(() => assert.fail('a command asked a keep')),
    io,
    exitWith: (code) => {
      exitCode = code;
    },
  });
  addAuditReceiptCommands(program.command('audit'), context);
  const code = await runProgram(program, io, ['audit', ...argv], () => exitCode);
  return { code, out: io.out(), err: io.err() };
}

const at = (name: string): string => join(place, name);
const key = (): readonly string[] => ['--key', log.audit.vkey];

before(async () => {
  log = await openTestLog();
  place = await mkdtemp(join(tmpdir(), 'modelkeep-cli-receipts-'));
  await writeFile(at('receipt'), await log.receipts.full(log.index, log.nonces));
  await writeFile(at('bare'), await log.receipts.read(log.index));
  await writeFile(at('input'), log.input);
  await writeFile(at('output'), log.output);
  await writeFile(at('vkey'), `${log.audit.vkey}\n`);
  older = await log.audit.checkpoint();
  await writeFile(at('older'), older);
  await log.audit.append(PREDICTION);
  await log.audit.checkpoint();
});
after(async () => {
  await log[Symbol.asyncDispose]();
  await rm(place, { recursive: true });
});

describe('audit verify-receipt', () => {
  it('says what is proven, and what is not', async () => {
    const { code, out, err } = await type(
      'verify-receipt',
      at('receipt'),
      '--key-file',
      at('vkey'),
      '--input',
      at('input'),
      '--output',
      at('output'),
    );
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^✓ verified entry 20\nproven:\n {2}keep\.example\.org\/audit signed that entry 20/);
    assert.match(out, /the input is the one that the keep received\n/);
    assert.match(out, /not proven:\n {2}that it happened at 2026-01-01T00:00:00\.000Z/);
  });

  it('answers a script in JSON', async () => {
    const { code, out } = await type('verify-receipt', '--json', at('receipt'), ...key());
    const result = JSON.parse(out) as Record<string, unknown>;
    assert.equal(code, 0);
    assert.deepEqual([result['ok'], result['index'], result['input']], [true, 20, 'unchecked']);
  });

  it('ends with 3 for a changed receipt, another key, or other bytes', async () => {
    const bytes = await readFile(at('receipt'));
    await writeFile(at('changed'), bytes.with(60, (bytes[60] as number) ^ 1));
    const stranger = createNoteSigner('keep.example.org/audit', generateKeyPairSync('ed25519').privateKey);
    for (const [argv, reason] of [
      [[at('changed'), ...key()], /refused/],
      [[at('receipt'), '--key', stranger.vkey], /no signature by the key/],
      [[at('receipt'), ...key(), '--input', at('output')], /not the input/],
      [[at('receipt'), ...key(), '--output', at('input')], /not the output/],
    ] as const) {
      const { code, out } = await type('verify-receipt', ...argv);
      assert.equal(code, 3);
      assert.match(out, /^✗ refused: /);
      assert.match(out, reason);
    }
  });

  it('takes nonces from the header of the answer, and asks for them if they are needed', async () => {
    const { input, output } = log.nonces;
    const header = [input, output].map((each) => Buffer.from(each).toString('base64')).join(',');
    const line = ['verify-receipt', at('bare'), ...key(), '--input', at('input')];
    assert.equal((await type(...line, '--nonces', header)).code, 0);
    const missing = await type(...line);
    assert.equal(missing.code, 2);
    assert.match(missing.err, /without its nonce\nmodelkeep: hint: --nonces takes the header/);
    assert.equal((await type(...line, '--nonces', 'AAAA')).code, 2);
  });

  it('needs a verifier key, and a file', async () => {
    assert.match((await type('verify-receipt', at('receipt'))).err, /give the verifier key/);
    assert.equal((await type('verify-receipt', at('receipt'), '--key', 'x+y+z')).code, 2);
    assert.match((await type('verify-receipt', at('none'), ...key())).err, /none does not exist/);
  });

  it('asks for the witnesses of a policy', async () => {
    await writeFile(at('policy'), `log ${log.audit.vkey}\nquorum none\n`);
    assert.equal((await type('verify-receipt', at('receipt'), '--policy', at('policy'))).code, 0);
  });
});

describe('audit prove', () => {
  it('makes a receipt from a copy of the log, to stdout or a new file', async () => {
    const { code, out, err } = await type('prove', '--index', '20', '--dir', log.directory);
    assert.equal(code, 0);
    assert.match(err, /the signature of the checkpoint was not checked/);
    await writeFile(at('made'), out);
    assert.equal((await type('verify-receipt', at('made'), ...key())).code, 0);
    const filed = await type('prove', '--index', '0', '--dir', log.directory, ...key(), '-o', at('filed'));
    assert.deepEqual([filed.code, filed.err], [0, 'wrote the receipt of entry 0\n']);
    assert.equal((await type('verify-receipt', at('filed'), ...key())).code, 0);
    const again = await type('prove', '--index', '0', '--dir', log.directory, ...key(), '-o', at('filed'));
    assert.match(again.err, /already exists/);
  });

  it('refuses what is not in the log, and a log that does not lead to its checkpoint', async () => {
    assert.match((await type('prove', '--index', '99', '--dir', log.directory)).err, /covers 42 entries/);
    assert.equal((await type('prove', '--index', '-1', '--dir', log.directory)).code, 2);
    assert.match((await type('prove', '--index', '1', '--dir', at('nowhere'))).err, /does not exist/);
    const copy = at('copy');
    await cp(log.directory, copy, { recursive: true });
    await writeFile(join(copy, 'tile/0/000.p/42'), encodeTile(Array(42).fill(EMPTY_ROOT)));
    assert.equal((await type('prove', '--index', '1', '--dir', copy)).code, 3);
    await rm(copy, { recursive: true });
  });
});

describe('audit consistency', () => {
  const compare = (oldName: string, newName: string, dir = log.directory): Promise<Outcome> =>
    type('consistency', oldName, newName, '--dir', dir, ...key());

  it('proves that a log grew, from files and from sizes', async () => {
    const newer = join(log.directory, 'checkpoint');
    for (const [oldName, newName] of [
      [at('older'), newer],
      ['41', '42'],
      [at('older'), '42'],
      ['0', newer],
      ['7', '7'],
    ] as const) {
      const { code, out } = await compare(oldName, newName);
      assert.equal(code, 0, `${oldName} ${newName}`);
      assert.match(out, /^✓ the \d+ entries begin with the \d+, unchanged\n$/);
    }
    const { out } = await type('consistency', '--json', '41', '42', '--dir', log.directory, ...key());
    const answer = JSON.parse(out) as { consistent: boolean; proof: string[] };
    assert.ok(answer.consistent && answer.proof.length > 0);
  });

  it('ends with 3 for a rewritten log, one that shrank, and a checkpoint by another key', async () => {
    await using other = await openTestLog();
    const copy = at('rewritten');
    await cp(other.directory, copy, { recursive: true });
    const bad = await type(
      'consistency',
      at('older'),
      join(copy, 'checkpoint'),
      '--dir',
      copy,
      ...key(),
      '--key',
      other.audit.vkey,
    );
    assert.equal(bad.code, 3);
    assert.match(bad.out, /✗ not consistent: the first 41 entries are not what they were/);
    const shrunk = await compare(join(log.directory, 'checkpoint'), at('older'));
    assert.equal(shrunk.code, 3);
    assert.match(shrunk.out, /it shrank from 42 entries to 41/);
    const unsigned = await compare(at('older'), join(copy, 'checkpoint'));
    assert.deepEqual([unsigned.code, /no signature/.test(unsigned.out)], [3, true]);
    assert.equal((await compare('3', '4', copy)).code, 3);
    assert.equal((await compare('41', '43')).code, 2);
  });
});
