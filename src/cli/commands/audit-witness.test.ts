import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { Command } from 'commander';
import { draft } from '../../audit/audit-log.contract.ts';
import { openAuditLog } from '../../audit/log.ts';
import { parsePolicy } from '../../audit/witness/policy.ts';
import { openCosigned } from '../../audit/witness/witnessing.ts';
import { systemClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { createContext } from '../context.ts';
import { reportOf } from '../failure.ts';
import { createFakeAccess, createTestIo, type TestIo, type TestIoOptions } from '../testing.ts';
import { addAuditWitnessCommands } from './audit-witness.ts';

const directory = mkdtempSync(join(tmpdir(), 'modelkeep-cli-witness-'));
after(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);

/** Types a line; `started` is called with the streams while it runs. */
async function type(words: readonly string[], options: TestIoOptions = {}, started?: (io: TestIo) => void) {
  const io = createTestIo(options);
  const program = new Command()
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .option('--json');
  let code = 0;
  const access = createFakeAccess(() => assert.fail('no keep is opened'));
  const exitWith = (to: number): void => void (code = to);
  addAuditWitnessCommands(program.command('audit'), createContext(program, { access, io, exitWith }));
  started?.(io);
  try {
    await program.parseAsync(['audit', 'witness', ...words], { from: 'user' });
  } catch (error) {
    const report = reportOf(error);
    return { code: report.exitCode, out: io.out(), err: report.message };
  }
  return { code, out: io.out(), err: io.err() };
}

async function makeLog(name: string, entries: number, key = generateKeyPairSync('ed25519').privateKey) {
  const log = await openAuditLog({
    directory: at(name),
    signingKey: key,
    origin: 'keep.test/audit',
    clock: systemClock,
    log: silentLog,
  });
  for (let at = 0; at < entries; at++) await log.append(draft());
  await log.close();
  return { vkey: log.vkey, key };
}

/** Runs `serve` until `work` is done. */
async function withWitness(words: readonly string[], work: (line: string) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  let io: TestIo | undefined;
  const running = type(
    ['serve', ...words, '--listen', '127.0.0.1:0'],
    { interrupted: stop.signal },
    (started) => {
      io = started;
    },
  );
  const line = await new Promise<string>((resolve, reject) => {
    const look = (): void => {
      const out = io?.out() ?? '';
      if (out.endsWith('\n')) resolve(out);
      else setImmediate(look);
    };
    running.then(({ err }) => reject(new Error(err)), reject);
    look();
  });
  try {
    await work(line);
  } finally {
    stop.abort();
  }
  assert.equal((await running).code, 0);
}

describe('audit witness', () => {
  it('makes keys, watches a log, cosigns it, and refuses its old copy', async () => {
    const made = await type(['keygen', 'witness.test/w1', '-o', at('w.key'), '--pq']);
    assert.equal(made.code, 0, made.err);
    assert.match(
      made.out,
      /^witness\.test\/w1\+[0-9a-f]{8}\+B[A-P]\S+\nwitness\.test\/w1\+[0-9a-f]{8}\+B[g-v]\S+\n$/,
    );
    assert.equal(statSync(at('w.key')).mode & 0o777, 0o600);
    assert.match(readFileSync(at('w.key'), 'utf8'), /^(PRIVATE\+KEY\+witness\.test\/w1\+\S+\n){2}$/);
    const { vkey, key } = await makeLog('log', 3);
    cpSync(at('log'), at('old'), { recursive: true });
    await makeLog('log', 2, key);
    await withWitness(['--key', at('w.key'), '--state', at('state'), '--log', vkey], async (lines) => {
      const policy = `log ${vkey}\n${lines}group w all w1 w2\nquorum w\n`;
      writeFileSync(at('policy'), policy);
      const submitted = await type(['submit', at('log'), '--policy', at('policy')]);
      assert.equal(submitted.code, 0, submitted.err);
      assert.equal(openCosigned(submitted.out, parsePolicy(Buffer.from(policy))).size, 5);
      const old = await type(['submit', at('old'), '--policy', at('policy')]);
      assert.equal(old.code, 3);
      assert.match(old.err, /^w1: has cosigned 5 entries, this log has 3\nw2: /);
    });
    // It remembers: the next witness on the same state says the same.
    await withWitness(['--key', at('w.key'), '--state', at('state'), '--log', vkey], async (lines) => {
      writeFileSync(at('policy'), `log ${vkey}\n${lines}quorum w1\n`);
      assert.equal((await type(['submit', at('old'), '--policy', at('policy')])).code, 3);
    });
    const alone = await type(['submit', at('log'), '--policy', at('policy')]);
    assert.equal(alone.code, 1);
    assert.match(alone.err, /quorum/);
  });

  it('takes no key file that others may read, no wrong key and no wrong address', async () => {
    const { vkey } = await makeLog('other', 1);
    await type(['keygen', 'w.test', '-o', at('open.key')]);
    const serve = (...more: string[]) => type(['serve', '--state', at('s2'), '--log', vkey, ...more]);
    for (const listen of ['8088', 'localhost', 'localhost:99999', 'a:b:1']) {
      assert.equal((await serve('--key', at('open.key'), '--listen', listen)).code, 2, listen);
    }
    const wrong = await type(['serve', '--key', at('open.key'), '--state', at('s2'), '--log', 'nothing']);
    assert.match(wrong.err, /nothing is not the verifier key of a log/);
    chmodSync(at('open.key'), 0o644);
    assert.match((await serve('--key', at('open.key'))).err, /is open to others/);
    writeFileSync(at('bad.key'), 'PRIVATE+KEY+w.test+00000000+AAAA\n', { mode: 0o600 });
    assert.match((await serve('--key', at('bad.key'))).err, /does not hold the keys of one witness/);
    assert.equal((await type(['keygen', 'a b', '-o', at('x.key')])).code, 2);
    assert.match((await type(['keygen', 'w.test', '-o', at('open.key')])).err, /already exists/);
  });

  it('submits nothing that the log of the policy did not sign', async () => {
    const { vkey } = await makeLog('third', 1);
    const { vkey: other } = await makeLog('fourth', 1);
    writeFileSync(at('third.policy'), `log ${other}\nquorum none\n`);
    const strange = await type(['submit', at('third'), '--policy', at('third.policy')]);
    assert.deepEqual([strange.code, /no signature/.test(strange.err)], [3, true]);
    writeFileSync(at('third.policy'), 'quorum none\n');
    assert.equal((await type(['submit', at('third'), '--policy', at('third.policy')])).code, 2);
    writeFileSync(at('third.policy'), `log ${vkey}\nquorum x\n`);
    assert.match((await type(['submit', at('third'), '--policy', at('third.policy')])).err, /line 2/);
  });
});
