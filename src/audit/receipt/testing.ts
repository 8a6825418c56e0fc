import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createManualClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import type { AuditLog } from '../audit-log.ts';
import type { EntryDraft } from '../entry.ts';
import { openAuditLog } from '../log.ts';
import { createCommit } from '../privacy/commitment.ts';
import type { Nonces } from './receipt.ts';
import { createReceipts, type Receipts } from './receipts.ts';

/** A real log with a prediction in it, for the tests of receipts. */
export interface TestLog extends AsyncDisposable {
  readonly directory: string;
  readonly audit: AuditLog;
  readonly receipts: Receipts;
  /** Where the prediction stands, and what was sent and answered. */
  readonly index: number;
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  readonly nonces: Required<Nonces>;
}

export const PREDICTION: EntryDraft = {
  phase: 'single',
  action: 'model.invoke',
  principal: { kind: 'user', id: 'usr_ada', name: 'ada' },
  credential: { kind: 'api_key', id: 'key_1' },
  resource: '/projects/fraud/models/score/versions/3',
  permission: 'model.invoke',
  decision: 'allow',
  reason: 'allowed',
  model: { version: '3', digest: '5ca1'.repeat(16) },
};

/** `around`: so many entries before the prediction, and as many behind it. */
export async function openTestLog({ around = 20 } = {}): Promise<TestLog> {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-receipts-'));
  const audit = await openAuditLog({
    directory,
    signingKey: generateKeyPairSync('ed25519').privateKey,
    origin: 'keep.example.org/audit',
    clock: createManualClock(),
    log: silentLog,
    // Nothing is sealed but by the test.
    tuning: { sealMs: 1_000_000 },
  });
  const input = Buffer.from('{"amount": 12.5, "note": "é"}');
  const output = Buffer.from('{"score": 0.25}');
  const commit = createCommit();
  const [sent, answered] = [commit(input), commit(output)];
  const commitments = { input: sent.hash, output: answered.hash };
  const nonces = {
    input: Buffer.from(sent.nonce, 'base64'),
    output: Buffer.from(answered.nonce, 'base64'),
  };
  const others = (): Promise<unknown> =>
    Promise.all(
      Array.from({ length: around }, () =>
        audit.append({ ...PREDICTION, principal: { kind: 'user', id: 'usr_bob', name: 'bob' } }),
      ),
    );
  await others();
  const { index } = await audit.append({ ...PREDICTION, ...commitments });
  await others();
  await audit.checkpoint();
  return {
    directory,
    audit,
    receipts: createReceipts({ directory, seal: () => audit.checkpoint() }),
    index,
    input,
    output,
    nonces,
    async [Symbol.asyncDispose]() {
      await audit.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
