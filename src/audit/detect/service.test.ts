import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import type { Call, Route } from '../../http/route.ts';
import { createManualClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { isProblem } from '../../kernel/problem.ts';
import type { EntryDraft } from '../entry.ts';
import type { EntrySource } from '../entry-source.ts';
import { createMemoryAuditLog } from '../memory-log.ts';
import { detectionProblems } from './problems.ts';
import { createResponses, type Responses } from './responses.ts';
import { createDetectionRoutes } from './routes.ts';
import { createDetection } from './service.ts';
import type { DetectionState, StateStore } from './state-file.ts';
import { createStory, detectorOf, MINUTE } from './testing.ts';

function createLog() {
  const clock = createManualClock();
  const log = createMemoryAuditLog({ clock });
  const listeners = new Set<() => void>();
  const source: EntrySource = {
    size: () => log.size(),
    read: async (from, limit) => {
      const found = [];
      for (let index = from; index < Math.min(from + limit, log.size()); index++) {
        const entry = await log.entry(index);
        if (entry !== undefined) found.push(entry);
      }
      return found;
    },
    onGrowth(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const append = async (draft: EntryDraft) => {
    const appended = await log.append(draft);
    for (const listener of listeners) listener();
    return appended;
  };
  const write = async (tell: (story: ReturnType<typeof createStory>) => void) => {
    const story = createStory();
    story.now = clock.now();
    tell(story);
    for (const { entry } of story.entries) {
      const { v: _v, id: _id, time: _time, ...draft } = entry;
      await append(draft);
    }
  };
  return { clock, log, source, append, write };
}

function createMemoryState(): StateStore & { state: DetectionState | undefined; writes: number } {
  return {
    state: undefined,
    writes: 0,
    async read() {
      return this.state;
    },
    async write(state) {
      this.state = structuredClone(state);
      this.writes++;
    },
  };
}

type House = ReturnType<typeof createLog>;

async function open(
  house: House,
  state: StateStore,
  more: { append?: House['append']; saveEvery?: number } = {},
) {
  const detector = detectorOf();
  const responses = createResponses({
    clock: house.clock,
    isKnown: (principal, address, before) => detector.isKnown(principal, address, before),
  });
  const detection = createDetection({
    source: house.source,
    origin: 'memory.test/audit',
    append: house.append,
    detector,
    responses,
    state,
    log: silentLog,
    ...more,
  });
  await detection.start();
  await detection.settled();
  return { detection, responses };
}

const guess =
  (count: number, from = 0) =>
  (story: ReturnType<typeof createStory>) => {
    for (let i = from; i < from + count; i++) story.refuse('usr_1', '9.9.9.9', `s${i}`);
  };
const alertsIn = ({ log }: House): string[] =>
  log
    .recorded()
    .flatMap(({ action, detail }) => (action === 'detection.alert' ? [String(detail?.['rule'])] : []));

describe('detection over a log', () => {
  it('records an alert as an entry, acts on it, and does not alert about the alert', async () => {
    const house = createLog();
    const { detection, responses } = await open(house, createMemoryState());
    await house.write(guess(20));
    await detection.settled();
    await detection.settled();
    assert.deepEqual(alertsIn(house), ['A1']);
    const [alert] = responses.alerts();
    assert.equal(alert?.index, 20);
    const visitor = { address: '9.9.9.9', principalId: 'usr_1' };
    assert.equal(typeof responses.verdict(visitor), 'object');
    assert.equal(responses.verdict({ ...visitor, address: '10.0.0.1' }), 'pass');
    assert.equal(responses.verdict({ ...visitor, principalId: 'usr_2' }), 'pass');
    assert.equal(responses.verdict({ address: '9.9.9.9' }), 'pass');
    house.clock.advance(61 * MINUTE);
    assert.equal(responses.verdict(visitor), 'pass');
    assert.deepEqual(responses.measures(), []);
  });

  it('goes on counting after a restart', async () => {
    const house = createLog();
    const state = createMemoryState();
    const first = await open(house, state);
    await house.write(guess(19));
    await first.detection.settled();
    await first.detection.stop();
    const second = await open(house, state);
    await house.write(guess(1, 19));
    await second.detection.settled();
    assert.deepEqual(alertsIn(house), ['A1']);
  });

  it('after a crash finds what it had not recorded, and records nothing twice', async () => {
    const house = createLog();
    const state = createMemoryState();
    const first = await open(house, state);
    await house.write(guess(10));
    await first.detection.settled();
    await first.detection.stop();
    // From here on nothing is saved.
    const second = await open(house, {
      read: () => state.read(),
      write: () => Promise.reject(new Error('full')),
    });
    await house.write(guess(10, 10));
    await second.detection.settled();
    assert.deepEqual(alertsIn(house), ['A1']);
    await second.detection.stop();
    assert.equal(second.detection.counts().failures, 1);
    // Nobody watched when these came.
    await house.write((story) => {
      for (let i = 0; i < 16; i++) story.refuse(`usr_${i + 10}`, '8.8.8.8', 'Winter2026');
    });
    const third = await open(house, state);
    await third.detection.settled();
    assert.deepEqual(alertsIn(house), ['A1', 'A3']);
    assert.equal(third.responses.alerts().length, 2);
    assert.equal(typeof third.responses.verdict({ address: '9.9.9.9', principalId: 'usr_1' }), 'object');
  });

  it('without a saved state learns from the log, and keeps silent about the past', async () => {
    const house = createLog();
    await house.write(guess(19));
    await house.write((story) => {
      for (let i = 0; i < 16; i++) story.refuse(`usr_${i + 10}`, '8.8.8.8', 'Winter2026');
    });
    const { detection } = await open(house, createMemoryState());
    assert.deepEqual(alertsIn(house), []);
    await house.write(guess(1, 19));
    await detection.settled();
    assert.deepEqual(alertsIn(house), ['A1']);
  });

  it('keeps an alert that could not be recorded, and records it later', async () => {
    const house = createLog();
    let isDown = true;
    const { detection } = await open(house, createMemoryState(), {
      append: (draft) => (isDown ? Promise.reject(new Error('down')) : house.append(draft)),
    });
    await house.write(guess(20));
    await detection.settled();
    assert.deepEqual(alertsIn(house), []);
    assert.ok(detection.counts().failures > 0);
    isDown = false;
    await house.write((story) => story.succeed('usr_9', '10.0.0.1'));
    await detection.settled();
    assert.deepEqual(alertsIn(house), ['A1']);
  });

  it('saves its state as it goes, and throws away that of another log', async () => {
    const house = createLog();
    const state = createMemoryState();
    const { detection } = await open(house, state, { saveEvery: 10 });
    await house.write(guess(15));
    await detection.settled();
    assert.ok(state.writes >= 1);
    assert.ok(state.state);
    state.state = { ...state.state, origin: 'another' };
    const other = await open(house, state);
    assert.equal(other.detection.counts().lag, 0);
  });
});

describe('responses', () => {
  const hit = async (tell: (story: ReturnType<typeof createStory>) => void) => {
    const house = createLog();
    const { detection, responses } = await open(house, createMemoryState());
    await house.write(tell);
    await detection.settled();
    await detection.settled();
    return { house, responses };
  };
  const spray = (story: ReturnType<typeof createStory>) => {
    for (let i = 0; i < 15; i++) story.refuse(`usr_${i}`, '9.9.9.9', 'Winter2026');
  };

  it('block the pairs that were sprayed, and the whole address only if nobody is at home there', async () => {
    const empty = await hit(spray);
    assert.equal(typeof empty.responses.verdict({ address: '9.9.9.9' }), 'object');
    const office = await hit((story) => {
      story.succeed('usr_good', '9.9.9.9');
      spray(story);
    });
    const at = { address: '9.9.9.9' };
    assert.equal(office.responses.verdict(at), 'pass');
    assert.equal(office.responses.verdict({ ...at, principalId: 'usr_good' }), 'pass');
    assert.equal(typeof office.responses.verdict({ ...at, principalId: 'usr_3' }), 'object');
    assert.equal(office.responses.verdict({ address: '10.0.0.1', principalId: 'usr_3' }), 'pass');
  });

  it('ask for more than a password from elsewhere, and nothing at the usual place', async () => {
    const { house, responses } = await hit((story) => story.succeed('usr_1', '10.0.0.1'));
    house.clock.advance(MINUTE);
    const again = createStory();
    for (let i = 0; i < 5; i++) again.refuse('usr_1', `${i}.9.9.9`, `s${i}`);
    for (const { entry } of again.entries) {
      const { v: _v, id: _id, time: _time, ...draft } = entry;
      await house.append(draft);
    }
    for (let turn = 0; turn < 50 && responses.measures().length === 0; turn++)
      await new Promise((resolve) => setImmediate(resolve));
    const visitor = { principalId: 'usr_1', credentialId: 'password:usr_1' };
    assert.equal(typeof responses.verdict({ ...visitor, address: '7.7.7.7' }), 'object');
    assert.equal(responses.verdict({ ...visitor, address: '10.0.0.1' }), 'pass');
    assert.equal(responses.verdict({ ...visitor, credentialId: 'key_1', address: '7.7.7.7' }), 'pass');
  });

  it('slow a principal down to one request in two seconds', async () => {
    const { house, responses } = await hit((story) => {
      for (let i = 0; i < 10; i++) story.deny('usr_1', 'role.read', `/roles/${i}`);
    });
    const visitor = { address: '10.0.0.9', principalId: 'usr_1', isProven: true };
    assert.equal(responses.verdict(visitor), 'pass');
    const verdict = responses.verdict(visitor);
    assert.ok(verdict !== 'pass' && verdict.kind === 'throttle' && verdict.waitMs === 2000);
    house.clock.advance(2000);
    assert.equal(responses.verdict(visitor), 'pass');
    assert.equal(responses.verdict({ ...visitor, principalId: 'usr_2' }), 'pass');
  });

  it('never block everything: measures are bounded and the oldest go first', () => {
    const clock = createManualClock();
    const responses = createResponses({ clock, isKnown: () => false });
    const story = createStory();
    for (let i = 0; i < 12_000; i++) {
      story.add({
        action: 'detection.alert',
        principal: { kind: 'system' },
        reason: 'detection.x',
        source: { address: `a${i}`, port: 0 },
        detail: {
          alert: `alr_${i}`,
          rule: 'A1',
          severity: 'high',
          response: 'block-pair',
          principal: 'usr_1',
          time: new Date(clock.now()).toISOString(),
          expiresAt: new Date(clock.now() + MINUTE).toISOString(),
        },
      });
    }
    for (const entry of story.entries) responses.observe(entry);
    assert.equal(responses.measures().length, 10_000);
    assert.equal(responses.alerts().length, 1000);
  });
});

describe('the routes of detection', () => {
  async function call(
    responses: Responses,
    line: string,
    params: Record<string, string> = {},
    query: object = {},
  ) {
    const routes: readonly Route[] = createDetectionRoutes(responses);
    const route = routes.find((each) => `${each.method} ${each.path}` === line);
    assert.ok(route, line);
    const notes: unknown[] = [];
    const reply = await route.handle({
      params: (route.request?.params?.parse(params) ?? {}) as Call['params'],
      query: (route.request?.query?.parse(query) ?? {}) as Call['query'],
      body: undefined,
      bytes: new Uint8Array(),
      stream: Readable.from([]),
      headers: {},
      get caller(): never {
        throw new Error('nobody asks');
      },
      requestId: 'r',
      source: { address: '127.0.0.1', port: 1 },
      signal: new AbortController().signal,
      note: (facts) => notes.push(facts.detail),
      require: () => {},
    });
    return { body: route.response?.parse(reply.body) as Record<string, unknown>, notes };
  }

  it('list alerts and blocks, dismiss and lift; the log alone brings a dismissal back after a restart', async () => {
    const house = createLog();
    const { detection, responses } = await open(house, createMemoryState());
    await house.write(guess(20));
    await detection.settled();
    await detection.settled();
    const { body } = await call(responses, 'GET /api/v1/audit/alerts', {}, { rule: 'A1' });
    const [alert] = body['alerts'] as { id: string; state: string; evidence: number[] }[];
    assert.equal(alert?.evidence.length, 20);
    assert.deepEqual((await call(responses, 'GET /api/v1/audit/alerts', {}, { rule: 'D1' })).body, {
      alerts: [],
    });
    const blocks = (await call(responses, 'GET /api/v1/audit/blocks')).body['blocks'] as { id: string }[];
    assert.equal(blocks.length, 1);
    const lifted = await call(responses, 'DELETE /api/v1/audit/blocks/{block}', {
      block: blocks[0]?.id ?? '',
    });
    assert.deepEqual(lifted.notes, [{ measure: blocks[0]?.id }]);
    assert.equal(responses.verdict({ address: '9.9.9.9', principalId: 'usr_1' }), 'pass');
    const dismissed = await call(responses, 'POST /api/v1/audit/alerts/{alert}/dismiss', { alert: alert.id });
    assert.equal(dismissed.body['state'], 'dismissed');

    const again = createResponses({ clock: house.clock, isKnown: () => false });
    for (const indexed of await house.source.read(0, 100)) again.observe(indexed);
    assert.equal(again.measures().length, 1);
    await house.append({
      phase: 'end',
      action: 'detection.dismiss',
      principal: { kind: 'user', id: 'usr_admin' },
      decision: 'allow',
      reason: 'allowed',
      detail: { alert: alert.id },
    });
    for (const indexed of await house.source.read(0, 100)) again.observe(indexed);
    assert.equal(again.measures().length, 0);
    assert.equal(again.alerts()[0]?.state, 'dismissed');
  });

  it('refuse what is not there, and ask audit.configure of who ends something', async () => {
    const responses = createResponses({ clock: createManualClock(), isKnown: () => false });
    await assert.rejects(
      call(responses, 'POST /api/v1/audit/alerts/{alert}/dismiss', { alert: `alr_${'0'.repeat(16)}` }),
      (error) => isProblem(error, detectionProblems.alert_not_found),
    );
    await assert.rejects(
      call(responses, 'DELETE /api/v1/audit/blocks/{block}', { block: `msr_${'0'.repeat(16)}_0` }),
      (error) => isProblem(error, detectionProblems.measure_not_found),
    );
    assert.deepEqual(
      createDetectionRoutes(responses).map(({ guard }) => 'permission' in guard && guard.permission),
      ['audit.search', 'audit.configure', 'audit.search', 'audit.configure'],
    );
  });
});
