import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createManualClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { isProblem } from '../../kernel/problem.ts';
import type { AuditLog } from '../audit-log.ts';
import { draft } from '../audit-log.contract.ts';
import { parseCheckpoint } from '../checkpoint.ts';
import { openAuditLog } from '../log.ts';
import { createNoteSigner, NoteError, parseNote } from '../note.ts';
import { auditProblems } from '../problems.ts';
import { createProver } from '../receipt/prover.ts';
import { parsePolicy, type Policy } from './policy.ts';
import { witnessProblems } from './problems.ts';
import { serveWitness, type WitnessServer } from './server.ts';
import { createWitnessMemory } from './stores.ts';
import { cosignerOf, verifierOf } from './testing.ts';
import { createWitness } from './witness.ts';
import { openWitnessedLog } from './witnessed-log.ts';
import { COSIGNED_FILE, createWitnessing, openCosigned, type WitnessingOptions } from './witnessing.ts';

const root = mkdtempSync(join(tmpdir(), 'modelkeep-witnessing-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const newDirectory = (): string => join(root, String(count++), 'log');
const { privateKey } = generateKeyPairSync('ed25519');
const signer = createNoteSigner('keep.test/audit', privateKey);
const verifier = verifierOf(signer.vkey);

/** A witness on a port of its own, that can be taken down and put up again. */
async function raise(name: string) {
  const cosigner = cosignerOf(`${name}.test`);
  const store = createWitnessMemory();
  const witness = createWitness({
    store,
    cosigners: [cosigner],
    logs: [verifier],
    clock: createManualClock(),
  });
  let server: WitnessServer | undefined;
  let port = 0;
  const up = async (): Promise<void> => {
    server = await serveWitness({ witness, host: '127.0.0.1', port, log: silentLog });
    port = Number(new URL(server.url).port);
  };
  const down = async (): Promise<void> => {
    await server?.close();
    server = undefined;
  };
  await up();
  return {
    name,
    line: `witness ${name} ${cosigner.vkey} ${server?.url}\n`,
    up,
    down,
    forget: () => store.replace(signer.name, ''),
    size: () => parseCheckpoint(parseNote(store.read(signer.name) ?? '').text).size,
  };
}

const policyOf = (lines: readonly string[], quorum: string): Policy =>
  parsePolicy(Buffer.from(`log ${signer.vkey}\n${lines.join('')}${quorum}\n`));

/** The loop waits here until the test lets it go on. */
function createGate() {
  let open = Promise.withResolvers<void>();
  let arrived = Promise.withResolvers<void>();
  return {
    wait: (_ms: number, signal: AbortSignal): Promise<void> => {
      arrived.resolve();
      return new Promise((resolve, reject) => {
        void open.promise.then(resolve);
        if (signal.aborted) reject(new Error('ended'));
        signal.addEventListener('abort', () => reject(new Error('ended')));
      });
    },
    /** Resolves when a round is over. */
    round: () => arrived.promise,
    next(): void {
      const { resolve } = open;
      open = Promise.withResolvers();
      arrived = Promise.withResolvers();
      resolve();
    },
  };
}

async function openWatched(directory: string, policy: Policy, change: Partial<WitnessingOptions> = {}) {
  const clock = createManualClock();
  const gate = createGate();
  const witnessing = createWitnessing({
    directory,
    policy,
    logs: [verifier],
    prover: createProver({ directory }),
    clock,
    log: silentLog,
    tuning: { wait: gate.wait, intervalMs: 1000, timeoutMs: 2000 },
    ...change,
  });
  const log = await openWitnessedLog({
    directory,
    signers: [signer],
    witnessing,
    open: () =>
      openAuditLog({ directory, signingKey: privateKey, origin: signer.name, clock, log: silentLog }),
  });
  return { log, clock, gate, witnessing };
}

const append = async (log: AuditLog, entries: number): Promise<void> => {
  await Promise.all(Array.from({ length: entries }, (_, at) => log.append(draft({ latencyUs: at }))));
};
const rolledBack = (detail: RegExp) => (error: unknown) => {
  assert.ok(isProblem(error, witnessProblems.rolled_back), String(error));
  assert.match(error.detail, detail);
  return true;
};
const cosignedSize = (directory: string, policy: Policy): number =>
  openCosigned(readFileSync(join(directory, COSIGNED_FILE), 'utf8'), policy).size;

describe('an audit log with witnesses', () => {
  it('has each checkpoint cosigned, and keeps the one that a quorum signed', async (t) => {
    const [a, b, c] = [await raise('a'), await raise('b'), await raise('c')];
    t.after(() => Promise.all([a, b, c].map(({ down }) => down())));
    const policy = policyOf([a.line, b.line, c.line], 'group g 2 a b c\nquorum g');
    const directory = newDirectory();
    const { log, gate } = await openWatched(directory, policy);
    await gate.round();
    let size = 0;
    for (const more of [3, 300, 1]) {
      gate.next();
      await append(log, more);
      size += more;
      await gate.round();
      // A round may have begun between the first entry and the last.
      for (let at = 0; at < 2 && log.witnesses().cosigned < size; at++) {
        gate.next();
        await gate.round();
      }
      assert.deepEqual([a.size(), b.size(), c.size()], [size, size, size]);
      assert.equal(cosignedSize(directory, policy), size);
      assert.equal(log.witnesses().waitingMs, 0);
    }
    assert.ok(log.available());
    await log.close();
    assert.throws(
      () => openCosigned(readFileSync(join(directory, 'checkpoint'), 'utf8'), policy),
      (error) => error instanceof NoteError && /no quorum/.test(error.message),
    );
    const again = await openWatched(directory, policy);
    assert.equal(again.log.witnesses().cosigned, size);
    await again.log.close();
  });

  it('does not start from an old copy of itself: the witness has seen more', async (t) => {
    const a = await raise('a');
    t.after(a.down);
    const policy = policyOf([a.line], 'quorum a');
    const directory = newDirectory();
    const first = await openWatched(directory, policy);
    await append(first.log, 20);
    await first.log.close();
    const copy = newDirectory();
    cpSync(directory, copy, { recursive: true });
    const second = await openWatched(directory, policy);
    await append(second.log, 300);
    await second.gate.round();
    second.gate.next();
    await second.gate.round();
    await second.log.close();
    assert.equal(a.size(), 320);
    const before = readFileSync(join(copy, 'state.json'), 'utf8');
    await assert.rejects(
      openWatched(copy, policy),
      rolledBack(/the witness a has cosigned 320 entries, this log has 20/),
    );
    assert.equal(readFileSync(join(copy, 'state.json'), 'utf8'), before, 'nothing was signed');
    const newest = await openWatched(directory, policy);
    await newest.log.close();
  });

  it('does not start if its log is gone, or was written anew to the same size or beyond', async (t) => {
    const a = await raise('a');
    t.after(a.down);
    const policy = policyOf([a.line], 'quorum a');
    const watched = await openWatched(newDirectory(), policy);
    await append(watched.log, 5);
    await watched.gate.round();
    watched.gate.next();
    await watched.gate.round();
    await watched.log.close();
    assert.equal(a.size(), 5);
    await assert.rejects(
      openWatched(newDirectory(), policy),
      rolledBack(/cosigned 5 entries, this log has 0/),
    );
    for (const entries of [5, 9]) {
      const directory = newDirectory();
      const clock = createManualClock(1);
      const other = await openAuditLog({
        directory,
        signingKey: privateKey,
        origin: signer.name,
        clock,
        log: silentLog,
      });
      await append(other, entries);
      await other.close();
      await assert.rejects(
        openWatched(directory, policy),
        rolledBack(/another history of the first 5 entries/),
      );
    }
  });

  it('does not start beside its own newer cosigned checkpoint, even if no witness can be asked', async () => {
    const a = await raise('a');
    const policy = policyOf([a.line], 'quorum a');
    const directory = newDirectory();
    const { log, gate } = await openWatched(directory, policy);
    const copy = newDirectory();
    cpSync(directory, copy, { recursive: true });
    await append(log, 2);
    await gate.round();
    gate.next();
    await gate.round();
    await log.close();
    await a.down();
    cpSync(join(directory, COSIGNED_FILE), join(copy, COSIGNED_FILE));
    await assert.rejects(
      openWatched(copy, policy),
      rolledBack(/checkpoint\.cosigned is of 2 entries, this log has 0/),
    );
    writeFileSync(join(copy, COSIGNED_FILE), 'damaged\n');
    await (await openWatched(copy, policy)).log.close();
  });

  it('goes on without its witnesses, stops when the quorum is late, and goes on when it is back', async (t) => {
    const a = await raise('a');
    t.after(a.down);
    const policy = policyOf([a.line], 'quorum a');
    const { log, clock, gate } = await openWatched(newDirectory(), policy, { requireQuorumWithinMs: 60_000 });
    await gate.round();
    await a.down();
    await append(log, 1);
    gate.next();
    await gate.round();
    clock.advance(60_000);
    assert.match(log.witnesses().witnesses[0]?.failure ?? '', /cannot be reached/);
    assert.equal(log.witnesses().waitingMs, 60_000);
    await append(log, 1);
    clock.advance(1);
    assert.equal(log.available(), false);
    assert.match(log.reason() ?? '', /no quorum of witnesses has cosigned the log for more than 60 s/);
    await assert.rejects(log.append(draft()), (error) => isProblem(error, auditProblems.unavailable));
    assert.deepEqual(log.readiness(), { ready: false, reasons: ['the audit log lacks its witnesses'] });
    assert.equal(
      (await log.appendRefusal(draft({ decision: 'deny', reason: 'no_matching_binding' })))?.index,
      2,
    );
    await a.up();
    gate.next();
    await gate.round();
    assert.equal(log.available(), true);
    assert.ok(log.readiness().ready);
    assert.equal(a.size(), 3);
    await append(log, 1);
    await log.close();
  });

  it('stops for good when a second copy of the keep has gone on by itself', async (t) => {
    const a = await raise('a');
    t.after(a.down);
    const policy = policyOf([a.line], 'quorum a');
    const directory = newDirectory();
    const first = await openWatched(directory, policy);
    await append(first.log, 1);
    await first.log.close();
    const copy = newDirectory();
    cpSync(directory, copy, { recursive: true });
    const one = await openWatched(directory, policy);
    const two = await openWatched(copy, policy);
    await one.gate.round();
    await two.gate.round();
    await append(one.log, 2);
    one.gate.next();
    await one.gate.round();
    assert.equal(a.size(), 3);
    await append(two.log, 1);
    two.gate.next();
    await two.gate.round();
    assert.match(
      two.log.reason() ?? '',
      /cosigned 3 entries, this log has 2, and the log itself has signed that/,
    );
    assert.equal(two.log.available(), false);
    assert.equal(one.log.available(), true);
    await one.log.close();
    await two.log.close();
  });

  it('is not stopped by a witness that claims what it cannot show', async (t) => {
    const liar = createServer((request, response) => {
      if (request.method === 'GET') response.writeHead(404).end();
      else response.writeHead(409, { 'content-type': 'text/x.tlog.size' }).end('1000\n');
    });
    const a = await raise('a');
    const directory = newDirectory();
    const quiet = policyOf([a.line], 'quorum a');
    const { log } = await openWatched(directory, quiet);
    await append(log, 1);
    await log.close();
    liar.listen(0, '127.0.0.1', () => {});
    await new Promise((resolve) => liar.once('listening', resolve));
    t.after(() => {
      liar.close();
      return a.down();
    });
    const { port } = liar.address() as { port: number };
    const line = `witness l ${cosignerOf('liar.test').vkey} http://127.0.0.1:${port}\n`;
    const policy = policyOf([a.line, line], 'group g any a l\nquorum g');
    const witnessing = createWitnessing({
      directory,
      policy,
      logs: [verifier],
      prover: createProver({ directory }),
      clock: createManualClock(),
      log: silentLog,
    });
    const checkpoint = readFileSync(join(directory, 'checkpoint'), 'utf8');
    await assert.rejects(witnessing.check(checkpoint), rolledBack(/the witness l has cosigned 1000 entries/));
    assert.equal(witnessing.stopped(), undefined);
    assert.deepEqual(
      witnessing.status().witnesses.map(({ name, size }) => [name, size]),
      [
        ['a', 1],
        ['l', 0],
      ],
    );
    await witnessing.close();
  });

  it('refuses a policy that is for another log, or does not say where a witness is', () => {
    const directory = newDirectory();
    const options = {
      directory,
      logs: [verifier],
      prover: createProver({ directory }),
      clock: createManualClock(),
      log: silentLog,
    };
    const other = createNoteSigner('other.test', generateKeyPairSync('ed25519').privateKey);
    const { vkey } = cosignerOf('w.test');
    for (const text of [`log ${other.vkey}\nquorum none\n`, `witness w ${vkey}\nquorum w\n`]) {
      assert.throws(
        () => createWitnessing({ ...options, policy: parsePolicy(Buffer.from(text)) }),
        (error) => isProblem(error, witnessProblems.witness_policy),
      );
    }
  });
});
