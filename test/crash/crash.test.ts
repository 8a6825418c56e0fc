import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { openKeep } from '../../src/server/keep.ts';
import { runCli, startServer } from '../support/server-process.ts';

const ROUNDS = Number(process.env['MODELKEEP_CRASH_ROUNDS'] ?? 100);
const CLIENTS = 8;

interface Acknowledged {
  readonly index: string;
  readonly request: string;
}

/** Sends predictions and changes until the server is gone; collects what it acknowledged. */
async function load(
  base: string,
  authorization: string,
  round: number,
  client: number,
): Promise<Acknowledged[]> {
  const acknowledged: Acknowledged[] = [];
  for (let turn = 0; ; turn++) {
    const change = client === 0;
    const path = change ? '/api/v1/groups' : '/predict';
    const body = change ? { name: `group-${round}-${turn}` } : { value: turn % 7 };
    try {
      const response = await fetch(base + path, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      await response.arrayBuffer();
      const index = response.headers.get('audit-index');
      const request = response.headers.get('x-request-id');
      if (index !== null && request !== null) acknowledged.push({ index, request });
      assert.ok(response.ok, `status ${response.status}`);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return acknowledged;
    }
  }
}

describe('a keep killed at random moments', () => {
  it(`loses no acknowledged entry and always opens again, ${ROUNDS} times`, async (t) => {
    const home = join(await mkdtemp(join(tmpdir(), 'modelkeep-crash-')), 'keep');
    const expectOk = async (args: readonly string[], input?: string): Promise<string> => {
      const { code, stdout, stderr } = await runCli(
        ['--home', home, ...args],
        input === undefined ? {} : { input },
      );
      assert.equal(code, 0, stderr);
      return stdout;
    };
    await expectOk(['init', '--show-secret']);
    await writeFile(join(home, 'modelkeep.yaml'), 'serving:\n  defaultModel: default/polarity\n');
    const model = join(import.meta.dirname, '..', '..', 'examples', 'models', 'polarity.onnx');
    await expectOk(['models', 'add', model, '--model', 'default/polarity']);
    await expectOk(['service-accounts', 'create', 'load']);
    for (const role of ['admin', 'consumer']) {
      await expectOk(['bindings', 'create', 'service-account:load', role, '/']);
    }
    const created = await expectOk(['--json', 'api-keys', 'create', 'service-account:load', '--show-secret']);
    const authorization = `Bearer ${(JSON.parse(created) as { key: string }).key}`;

    const acknowledged: Acknowledged[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const server = await startServer(home);
      const clients = Array.from({ length: CLIENTS }, (_, client) =>
        load(server.base, authorization, round, client),
      );
      await delay(randomInt(20, 400));
      await server.kill();
      acknowledged.push(...(await Promise.all(clients)).flat());
    }

    const config = loadConfig({ flags: {}, env: {}, homeDirectory: home, readFile: () => undefined });
    const last = await openKeep({ home, config, clock: systemClock, log: silentLog });
    await last[Symbol.asyncDispose]();
    // Opened twice: the first time closes what the last kill left open.
    await using place = await openKeep({ home, config, clock: systemClock, log: silentLog });
    for (const { index, request } of acknowledged) {
      const found = await place.audit.entry(Number(index));
      assert.equal(found?.entry.request, request, `entry ${index}`);
    }
    assert.deepEqual(place.audit.unfinished(), []);
    const verification = await place.audit.verify();
    assert.deepEqual(verification.problems, []);
    t.diagnostic(`${acknowledged.length} acknowledged entries over ${ROUNDS} kills, none lost`);
    assert.ok(acknowledged.length > ROUNDS);
    await rm(home, { recursive: true });
  });
});
