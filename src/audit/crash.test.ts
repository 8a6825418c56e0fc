import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { systemClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import type { AuditLog } from './audit-log.ts';
import { draft } from './audit-log.contract.ts';
import { openAuditLog } from './log.ts';
import { verifyLog } from './verify.ts';

const CHILD = 'append-until-killed';
const ROUNDS = 10;

const open = (directory: string, signingKey: KeyObject): Promise<AuditLog> =>
  openAuditLog({
    directory,
    signingKey,
    origin: 'keep.test/audit',
    clock: systemClock,
    log: silentLog,
    tuning: { sealMs: 3, segmentBytes: 20_000 },
  });

if (process.argv[2] === CHILD) {
  const [directory = '', der = ''] = process.argv.slice(3);
  await appendUntilKilled(directory, Buffer.from(der, 'base64'));
} else {
  describe('an audit log whose process is killed', () => {
    const root = mkdtempSync(join(tmpdir(), 'modelkeep-crash-'));
    after(() => rmSync(root, { recursive: true }));

    it(`loses no acknowledged entry, and verifies, ${ROUNDS} times over`, { timeout: 120_000 }, async () => {
      const directory = join(root, 'log');
      const { privateKey } = generateKeyPairSync('ed25519');
      const der = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64');
      let size = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const child = fork(import.meta.filename, [CHILD, directory, der], { execArgv: [] });
        const enough = size + 5 + round * 17;
        let highest = -1;
        child.on('message', (index: number) => {
          highest = index;
          if (index >= enough) child.kill('SIGKILL');
        });
        const [, signal] = await once(child, 'exit');
        assert.equal(signal, 'SIGKILL');
        const log = await open(directory, privateKey);
        assert.ok(log.size() > highest, `entry ${highest} was acknowledged, the log holds ${log.size()}`);
        assert.equal((await log.entry(highest))?.index, highest);
        size = log.size();
        await log.close();
        assert.deepEqual((await verifyLog(directory, log.vkey)).problems, []);
      }
    });
  });
}

/** Tells its parent of every entry that was acknowledged. */
async function appendUntilKilled(directory: string, der: Buffer): Promise<void> {
  const log = await open(directory, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  let highest = -1;
  const append = async (): Promise<void> => {
    for (;;) {
      const { index } = await log.append(draft({ detail: { text: 'x'.repeat(200) } }));
      highest = Math.max(highest, index);
      process.send?.(highest);
    }
  };
  await Promise.all(Array.from({ length: 8 }, append));
}
