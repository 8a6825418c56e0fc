import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alertsOf, createStory, DAY, HOUR, MINUTE, MODEL, rulesOf, SECOND } from './testing.ts';

describe('B1 permission probing', () => {
  it('is ten different things denied, or four on one model', () => {
    const wide = createStory();
    for (let i = 0; i < 10; i++, wide.now += SECOND) wide.deny('usr_1', 'role.read', `/roles/r${i}`);
    assert.deepEqual(rulesOf(wide), ['B1']);
    const deep = createStory();
    for (const permission of ['model.read', 'model.download', 'model.delete', 'version.promote'])
      deep.deny('usr_1', permission, MODEL);
    assert.deepEqual(alertsOf(deep)[0]?.key, { principal: 'usr_1', model: MODEL });
  });

  it('is not a batch job that lost its right and tries one thing ten thousand times', () => {
    const story = createStory();
    for (let i = 0; i < 10_000; i++, story.now += 50) story.deny('sa_1', 'model.invoke', MODEL);
    assert.deepEqual(rulesOf(story), []);
  });
});

describe('B2 enumeration', () => {
  it('is twenty different models that are not there', () => {
    const story = createStory();
    for (let i = 0; i < 20; i++, story.now += SECOND) {
      story.succeed('usr_1', '9.9.9.9', {
        action: 'model.read',
        resource: `/projects/p/models/guess-${i}`,
        reason: 'models.model_not_found',
        decision: 'error',
        http: { method: 'GET', route: '/x', status: 404 },
      });
    }
    assert.deepEqual(rulesOf(story), ['B2']);
  });

  it('is not a client whose one model was deleted', () => {
    const story = createStory();
    for (let i = 0; i < 1000; i++, story.now += 100) {
      const http = { method: 'POST', route: '/x', status: 404 };
      story.succeed('usr_1', '9.9.9.9', { resource: `${MODEL}/versions/${i}`, decision: 'error', http });
    }
    assert.deepEqual(rulesOf(story), []);
  });
});

describe('C1 dead keys', () => {
  const use = (reason: string, times: number, everyMs: number) => {
    const story = createStory();
    for (let i = 0; i < times; i++, story.now += everyMs) {
      const credential = { kind: 'refused', id: 'key_dead' };
      story.refuse('sa_1', '9.9.9.9', 'same', { reason: `identity.${reason}`, credential });
    }
    return alertsOf(story).map(({ rule, severity }) => `${rule} ${severity}`);
  };

  it('are critical when revoked, at the first use', () => {
    assert.deepEqual(use('revoked_key', 1, 0), ['C1 critical']);
  });

  it('are low when expired and used more than ten times in an hour; ten are nothing', () => {
    assert.deepEqual(use('expired_key', 11, MINUTE), ['C1 low']);
    assert.deepEqual(use('expired_key', 10, MINUTE), []);
    assert.deepEqual(use('expired_key', 100, 7 * MINUTE), []);
  });
});

describe('C2 a key from a new network', () => {
  const days = (last: (story: ReturnType<typeof createStory>) => void) => {
    const story = createStory();
    for (let hour = 0; hour < 48; hour++, story.now += HOUR)
      for (let i = 0; i < 10; i++) story.predict('sa_1', 'same');
    last(story);
    return story;
  };

  it('is a new network with more than three times the usual volume', () => {
    const story = days((story) => {
      for (let i = 0; i < 31; i++)
        story.predict('sa_1', 'same', { source: { address: '203.0.113.7', port: 1 } });
    });
    const [alert] = alertsOf(story);
    assert.equal(alert?.rule, 'C2');
    assert.deepEqual(alert?.key, { credential: 'key_sa_1', network: '203.0.113.0/24' });
    assert.equal(alert?.at, 510);
  });

  it('is not a traveller with the usual volume, nor a load test at home', () => {
    const traveller = days((story) => {
      for (let i = 0; i < 10; i++)
        story.predict('sa_1', 'same', { source: { address: '203.0.113.7', port: 1 } });
    });
    assert.deepEqual(rulesOf(traveller), []);
    const atHome = days((story) => {
      for (let i = 0; i < 300; i++) story.predict('sa_1', 'same');
    });
    assert.deepEqual(rulesOf(atHome), []);
  });
});

describe('C3 canary keys', () => {
  const RULES = 'rules: { C3: { keys: [key_bait] } }';

  it('are critical at any use, and the key is blocked', () => {
    const story = createStory();
    story.predict('sa_1', 'x', { credential: { kind: 'api_key', id: 'key_bait' } });
    const [alert] = alertsOf(story, RULES);
    assert.deepEqual([alert?.rule, alert?.severity, alert?.response], ['C3', 'critical', 'block-key']);
  });

  it('are none unless named', () => {
    const story = createStory();
    story.predict('sa_1', 'x', { credential: { kind: 'api_key', id: 'key_bait' } });
    story.predict('sa_1', 'x');
    assert.deepEqual(rulesOf(story), []);
    assert.equal(alertsOf(story, RULES).length, 1);
  });
});

describe('D1 extraction by volume', () => {
  const night = (story: ReturnType<typeof createStory>, count: number) => {
    const end = story.now + DAY;
    for (let i = 0; i < count; i++, story.now += SECOND) story.predict('sa_batch', `customer ${i % 100}`);
    story.now = end;
  };

  it('is five hundred answers in an hour, and a load test is only observed', () => {
    const story = createStory();
    night(story, 600);
    const alerts = alertsOf(story);
    assert.deepEqual(
      alerts.map(({ rule, response, at }) => [rule, response, at]),
      [['D1', 'observe', 499]],
    );
    assert.equal(alerts[0]?.evidence.length, 20);
  });

  it('compares a batch job that runs every night with itself after three nights', () => {
    const story = createStory();
    for (let nights = 0; nights < 7; nights++) night(story, 700);
    const start = Date.parse(story.entries[0]?.entry.time ?? '');
    const nights = alertsOf(story).map(({ time }) => Math.floor((time - start) / DAY));
    assert.deepEqual([...new Set(nights)], [0, 1, 2]);
  });
});

describe('D2 extraction by novelty', () => {
  it('is a budget of different inputs, nearly all of them new, over days', () => {
    const story = createStory();
    for (let i = 0; i < 1100; i++, story.now += 5 * MINUTE) story.predict('usr_1', `grid point ${i}`);
    const alert = alertsOf(story).find(({ rule }) => rule === 'D2');
    assert.ok(alert);
    assert.ok(alert.at >= 900 && alert.at < 1100, String(alert.at));
    assert.equal(alert.response, 'observe');
  });

  it('is not an application whose inputs come back, nor a model with a budget of its own', () => {
    const story = createStory();
    for (let i = 0; i < 2000; i++, story.now += 5 * MINUTE) story.predict('usr_1', `question ${i % 900}`);
    assert.deepEqual(rulesOf(story), []);
    const novel = createStory();
    for (let i = 0; i < 1500; i++, novel.now += 5 * MINUTE) novel.predict('usr_1', `grid point ${i}`);
    assert.deepEqual(rulesOf(novel, `rules: { D2: { budgets: { ${MODEL}: 5000 } } }`), []);
    const repeating = createStory();
    for (let i = 0; i < 9000; i++, repeating.now += MINUTE)
      repeating.predict('usr_1', `question ${i % 10 === 0 ? i : i % 400}`);
    assert.ok(!rulesOf(repeating).includes('D2'));
  });

  it('forgets after seven days', () => {
    const story = createStory();
    for (let i = 0; i < 850; i++, story.now += MINUTE) story.predict('usr_1', `a ${i}`);
    story.now += 8 * DAY;
    for (let i = 0; i < 400; i++, story.now += 5 * MINUTE) story.predict('usr_1', `b ${i}`);
    assert.ok(!rulesOf(story).includes('D2'));
  });
});

describe('D3 boundary probing', () => {
  /** `answers` of one principal, one in `everyMs`, of which `near` in a hundred were near the boundary. */
  const ask = (answers: number, everyMs: number, near: number) => {
    const story = createStory();
    for (let i = 0; i < answers; i++, story.now += everyMs) {
      const isNear = Math.floor(((i + 1) * near) / 100) > Math.floor((i * near) / 100);
      story.predict('sa_1', `row ${i % 150}`, {
        detail: { inputTag: `row ${i % 150}`, ...(isNear && { nearBoundary: true }) },
      });
    }
    return story;
  };

  it('is two hundred answers in an hour, two in five of them near the boundary', () => {
    const [alert] = alertsOf(ask(220, 15 * SECOND, 40));
    assert.deepEqual(
      [alert?.rule, alert?.severity, alert?.response, alert?.key],
      ['D3', 'high', 'observe', { principal: 'sa_1', model: MODEL }],
    );
    assert.equal(alert?.evidence.length, 20);
    const { entries } = ask(220, 15 * SECOND, 40);
    for (const index of alert?.evidence ?? [])
      assert.equal(entries[index]?.entry.detail?.['nearBoundary'], true);
  });

  it('goes on over the full hour', () => {
    const late = ask(300, 10 * SECOND, 50).entries.map((each) => ({
      ...each,
      entry: { ...each.entry, time: new Date(Date.parse(each.entry.time) + 30 * MINUTE).toISOString() },
    }));
    assert.deepEqual(rulesOf({ entries: late }), ['D3']);
  });

  it('is not a user with hard cases: a fifth near the boundary, or fewer than two hundred answers', () => {
    assert.deepEqual(rulesOf(ask(400, 8 * SECOND, 20)), []);
    assert.deepEqual(rulesOf(ask(150, 15 * SECOND, 100)), []);
  });

  it('is not the same answers over a day', () => {
    assert.deepEqual(rulesOf(ask(500, 3 * MINUTE, 60)), []);
  });

  it('is not a batch job of which one row in twenty is hard', () => {
    assert.ok(!rulesOf(ask(5000, 500, 5)).includes('D3'));
  });

  it('is silent about a model that answers with labels alone', () => {
    assert.deepEqual(rulesOf(ask(450, 7 * SECOND, 0)), []);
  });
});

describe('D4 collusion', () => {
  const office = (people: number, each: number, input: (who: number, i: number) => string) => {
    const story = createStory();
    for (let i = 0; i < each; i++)
      for (let who = 0; who < people; who++, story.now += 2 * MINUTE)
        story.predict(`usr_${who}`, input(who, i), { source: { address: `203.0.113.${who}`, port: 1 } });
    return story;
  };

  it('is three principals of one network, each below the budget, together at twice of it', () => {
    const story = office(3, 720, (who, i) => `${who} ${i}`);
    const alert = alertsOf(story).find(({ rule }) => rule === 'D4');
    assert.deepEqual(alert?.key, { network: '203.0.113.0/24', model: MODEL });
    assert.deepEqual(alert?.principals?.toSorted(), ['usr_0', 'usr_1', 'usr_2']);
    assert.ok(!rulesOf(story).includes('D2'));
  });

  it('is not two colleagues, nor an office whose inputs come back', () => {
    assert.ok(!rulesOf(office(2, 990, (who, i) => `${who} ${i}`)).includes('D4'));
    assert.ok(!rulesOf(office(5, 600, (_, i) => `customer ${i % 200}`)).includes('D4'));
  });
});

describe('E1 guarded changes', () => {
  const grant = (subject: string) => {
    const story = createStory();
    const detail = { binding: 'bnd_1', subject, role: 'admin', effect: 'allow' };
    for (const phase of ['start', 'end'] as const)
      story.succeed('usr_admin', '10.0.0.1', { phase, action: 'binding.create', detail });
    return alertsOf(story).map(({ rule, at }) => `${rule} ${at}`);
  };

  it('are a role granted to oneself, and not to somebody else', () => {
    assert.deepEqual(grant('usr_admin'), ['E1 1']);
    assert.deepEqual(grant('usr_other'), []);
  });

  it('are what turns off the watch', () => {
    const story = createStory();
    story.succeed('usr_admin', '10.0.0.1', { action: 'audit.erase_month' });
    story.succeed('usr_admin', '10.0.0.1', { action: 'user.create' });
    assert.deepEqual(rulesOf(story), ['E1']);
  });
});

describe('E2 integrity', () => {
  const happens = (action: string, detail: Readonly<Record<string, string | number | boolean>>) => {
    const story = createStory();
    story.add({ action, detail, principal: { kind: 'system' } });
    return rulesOf(story);
  };

  it('is a failed verification, a clock that steps back by seconds, a witness that disagrees', () => {
    assert.deepEqual(happens('audit.verify', { ok: false }), ['E2']);
    assert.deepEqual(happens('audit.clock_step', { stepMs: 6000 }), ['E2']);
    assert.deepEqual(happens('audit.witness_conflict', {}), ['E2']);
  });

  it('is not a verification that holds, nor a corrected clock', () => {
    assert.deepEqual(happens('audit.verify', { ok: true }), []);
    assert.deepEqual(happens('audit.clock_step', { stepMs: 200 }), []);
  });
});
