import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { parseAllDocuments } from 'yaml';
import { isProblem } from '../../kernel/problem.ts';
import type { IndexedEntry } from '../audit-log.ts';
import { serialiseEntry } from '../serialise.ts';
import { alertOf, draftOf } from './alert.ts';
import { addHash, createCardinality, estimate, hashOf } from './cardinality.ts';
import { createDetector } from './detector.ts';
import { networkOf } from './event-reader.ts';
import { createGenerations, peek, sizeOf, touch } from './generations.ts';
import { detectionProblems } from './problems.ts';
import { renderDetectionsReference } from './reference.ts';
import { defaultRules, parseRules, readRules } from './rules-file.ts';
import { RULES } from './rules/table.ts';
import { sigmaFileOf, sigmaOf } from './sigma.ts';
import { alertsOf, createStory, detectorOf, MINUTE, rulesOf, SECOND } from './testing.ts';

/** Limits so low that short stories reach them. */
const EAGER = `rules:
  A1: { failures: 3, secrets: 2, window: 1m }
  A2: { failures: 4, secrets: 2, window: 1m }
  A3: { principals: 3, window: 1m }
  A4: { attempts: 4, principals: 3, window: 1m }
  A5: { addresses: 2, window: 1m }
  A7: { failures: 4, window: 1m }
  B1: { things: 3, modelThings: 2, window: 1m }
  D1: { hour: 5, day: 8, window: 1m }
  D2: { budget: 5, window: 2m, novelty: 0.5 }
  D3: { answers: 6, window: 2m }
  D4: { budget: 3, principals: 2, window: 2m, novelty: 0.5 }
`;

const step = fc.record({
  what: fc.constantFrom('refuse', 'refuse', 'succeed', 'deny', 'predict'),
  who: fc.nat({ max: 4 }),
  where: fc.nat({ max: 2 }),
  value: fc.nat({ max: 6 }),
  waitMs: fc.constantFrom(0, 1000, 15_000, 70_000, -5000),
});

function tell(steps: readonly { what: string; who: number; where: number; value: number; waitMs: number }[]) {
  const story = createStory();
  for (const { what, who, where, value, waitMs } of steps) {
    const [principal, address] = [`usr_${who}`, `9.9.${where}.9`];
    story.now += waitMs;
    if (what === 'refuse') story.refuse(principal, address, `s${value}`);
    else if (what === 'succeed') story.succeed(principal, address);
    else if (what === 'deny') story.deny(principal, `p.${value}`, '/projects/p/models/score');
    else {
      const detail = { inputTag: `i${value}`, ...(value % 2 === 0 && { nearBoundary: true }) };
      story.predict(principal, `i${value}`, { source: { address, port: 1 }, detail });
    }
  }
  return story.entries;
}

describe('the detector', () => {
  it('finds the same in the same entries, wherever it is stopped, saved and started again', () => {
    let found = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), fc.array(fc.nat(80)), (steps, stops) => {
        const entries = tell(steps);
        const whole = alertsOf({ entries }, EAGER);
        found += whole.length;
        let detector = detectorOf(EAGER);
        const parts = entries.flatMap((entry: IndexedEntry) => {
          if (stops.includes(entry.index)) {
            const saved = [...detector.save()];
            detector = detectorOf(EAGER);
            assert.deepEqual(detector.load(saved), []);
          }
          return detector.observe(entry);
        });
        assert.deepEqual(parts, whole);
        for (const alert of whole) {
          assert.ok(alert.evidence.length > 0 && alert.evidence.length <= 20);
          assert.ok(alert.evidence.every((index) => index <= alert.at));
        }
        assert.equal(new Set(whole.map(({ id }) => id)).size, whole.length);
      }),
      { numRuns: 150 },
    );
    assert.ok(found > 200, `only ${found} alerts were compared`);
  });

  it('begins a rule anew whose settings changed, and no other', () => {
    const saved = [...detectorOf().save()];
    assert.deepEqual(detectorOf('rules: { A1: { failures: 21 } }').load(saved), ['A1']);
    assert.deepEqual(detectorOf('rules: { A1: { severity: low } }').load(saved), []);
  });

  it('writes an alert as an entry that the log takes, and reads it back', () => {
    const alerts = alertsOf({ entries: tell(fc.sample(step, { seed: 7, numRuns: 300 })) }, EAGER);
    assert.ok(alerts.length > 20);
    for (const alert of alerts) {
      const entry = { v: 1, id: 'x', time: '2026-01-01T00:00:00.000Z', ...draftOf(alert) } as const;
      const stored = JSON.parse(serialiseEntry(entry)) as typeof entry;
      assert.deepEqual(alertOf({ entry: stored }), alert);
      assert.doesNotMatch(JSON.stringify(stored.detail), /9\.9\.\d/);
    }
  });

  it('never looks at its own alerts', () => {
    const story = createStory();
    for (let i = 0; i < 2000; i++)
      story.add({ action: 'detection.alert', principal: { kind: 'system' }, detail: { ok: false } });
    assert.deepEqual(rulesOf(story), []);
  });

  it('remembers no more keys than it may, and counts when it had to forget early', () => {
    const all = createGenerations<number>(MINUTE, 100);
    for (let i = 0; i < 10_000; i++) touch(all, `k${i}`, 1, () => i);
    assert.ok(sizeOf(all) <= 200);
    assert.equal(all.spilled, 99);
    touch(all, 'kept', 1, () => 1);
    assert.equal(peek(all, 'kept', MINUTE + 1), 1);
    assert.equal(peek(all, 'kept', 3 * MINUTE), undefined);
    const detector = createDetector({ rules: defaultRules() });
    const story = createStory();
    for (let i = 0; i < 3000; i++, story.now += SECOND)
      story.refuse(`usr_${i}`, `9.9.${i % 250}.${i % 9}`, 's');
    for (const entry of story.entries) detector.observe(entry);
    const { keys, spilled } = detector.counts();
    assert.ok(keys > 3000 && keys < 40_000, String(keys));
    assert.equal(spilled, 0);
  });
});

describe('the count of different texts', () => {
  it('is exact for few and within seven percent for many', () => {
    const all = createCardinality();
    for (let i = 1; i <= 20_000; i++) {
      addHash(all, hashOf(`text ${i}`));
      addHash(all, hashOf(`text ${Math.ceil(i / 2)}`));
      if (i <= 256) assert.equal(estimate(all), i);
      else if (i % 500 === 0) assert.ok(Math.abs(estimate(all) / i - 1) < 0.07, `${estimate(all)} of ${i}`);
    }
  });
});

describe('networks', () => {
  it('are /24 of IPv4, /48 of IPv6, and any other text itself', () => {
    assert.equal(networkOf('203.0.113.7'), '203.0.113.0/24');
    assert.equal(networkOf('::ffff:203.0.113.7'), '203.0.113.0/24');
    assert.equal(networkOf('2001:DB8:a:b::1'), '2001:db8:a::/48');
    assert.equal(networkOf('2001:db8::1'), '2001:db8:0::/48');
    assert.equal(networkOf('2026-01~sealed'), '2026-01~sealed');
  });
});

describe('the rules file', () => {
  const refusal = (text: string): readonly string[] => {
    try {
      parseRules(text);
    } catch (error) {
      assert.ok(isProblem(error, detectionProblems.rules_invalid));
      return error.members['violations'] as readonly string[];
    }
    return [];
  };

  it('changes what it names and keeps the rest', () => {
    const rules = parseRules('rules: { A1: { failures: 30, window: 10m, response: observe } }');
    const [first, second] = rules;
    assert.deepEqual(first?.settings.params, { failures: 30, secrets: 5 });
    assert.equal(first?.settings.windowMs, 10 * MINUTE);
    assert.deepEqual(second, defaultRules()[1]);
    assert.deepEqual(parseRules(''), defaultRules());
  });

  it('turns a rule off', () => {
    const story = createStory();
    for (let i = 0; i < 20; i++) story.refuse('usr_1', '9.9.9.9', `s${i}`);
    assert.deepEqual(rulesOf(story, 'rules: { A1: { enabled: false } }'), []);
  });

  it('is refused whole, with every complaint, when anything in it is not a setting', () => {
    assert.deepEqual(refusal('rules: { Z9: {}, D5: {} }'), ['there is no rule Z9', 'there is no rule D5']);
    assert.match(
      refusal('rules: { A1: { failure: 3 }, D2: { novelty: 2 } }').join('; '),
      /A1: .*failure.*; D2: novelty/,
    );
    for (const text of [
      'rules: { A1: { failures: 0 } }',
      'rules: { A1: { failures: 100000 } }',
      'rules: { A1: { window: 5 } }',
      'rules: { A1: { window: 5 minutes } }',
      'rules: { A1: { window: 365d } }',
      'rules: { A1: { severity: urgent } }',
      'rules: { C3: { keys: ["not a key"] } }',
      'rule: { A1: {} }',
      'rules: [A1]',
      'rules: { A1: {}, A1: {} }',
      'a: &a [1]\nrules: { A1: *a }',
      'rules: { A1: !!js/function "x" }',
    ])
      assert.ok(refusal(text).length > 0, text);
  });
});

describe('the rules file that cannot be read', () => {
  it('is named, with the reason of the system as the cause', async () => {
    const missing = join(tmpdir(), 'modelkeep-no-such-rules.yaml');
    await assert.rejects(readRules(missing), (error) => {
      assert.ok(isProblem(error, detectionProblems.rules_unreadable));
      assert.ok(error.detail.includes(missing));
      assert.equal((error.cause as NodeJS.ErrnoException).code, 'ENOENT');
      return true;
    });
    await assert.rejects(readRules(tmpdir()), (error) =>
      isProblem(error, detectionProblems.rules_unreadable),
    );
  });

  it('is named in front of its complaints', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'modelkeep-rules-'));
    const path = join(directory, 'rules.yaml');
    try {
      await writeFile(path, 'rules: { A1: { failures: 7 } }');
      assert.deepEqual((await readRules(path))[0]?.settings.params, { failures: 7, secrets: 5 });
      await writeFile(path, 'rules: { Z9: {} }');
      await assert.rejects(readRules(path), (error) => {
        assert.ok(isProblem(error, detectionProblems.rules_invalid));
        assert.equal(error.detail, `${path}: there is no rule Z9`);
        assert.deepEqual(error.members['violations'], ['there is no rule Z9']);
        return true;
      });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

const DOCS = join(import.meta.dirname, '..', '..', '..', 'docs');

describe('what is written of the rules', () => {
  it('is the reference page, and no rule is missing', async () => {
    const page = await readFile(join(DOCS, 'reference', 'detections.md'), 'utf8');
    assert.equal(page, renderDetectionsReference());
    assert.deepEqual(
      [...page.matchAll(/^## ([A-Z]\d) /gm)].map((match) => match[1]),
      RULES.map(({ id }) => id),
    );
    assert.doesNotMatch(page, /\{(?!block)\w+\}|undefined/);
  });

  it('is one Sigma file for each rule, whose parts name each other', async () => {
    const files = await readdir(join(DOCS, 'sigma'));
    assert.deepEqual(files.toSorted(), defaultRules().map(sigmaFileOf).toSorted());
    const ids = new Set<unknown>();
    const names = new Set<unknown>();
    const used: unknown[] = [];
    let documents = 0;
    for (const rule of defaultRules()) {
      const text = await readFile(join(DOCS, 'sigma', sigmaFileOf(rule)), 'utf8');
      assert.equal(text, sigmaOf(rule));
      for (const document of parseAllDocuments(text)) {
        const value = (document as { toJS(): Record<string, unknown> }).toJS();
        documents++;
        ids.add(value['id']);
        names.add(value['name']);
        const correlation = value['correlation'] as Record<string, unknown> | undefined;
        assert.equal(correlation === undefined, value['detection'] !== undefined);
        assert.match(String(value['id']), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
        if (correlation === undefined) continue;
        used.push(...(correlation['rules'] as unknown[]));
        assert.match(String(correlation['timespan']), /^\d+[smhd]$/);
        assert.match(String(correlation['type']), /^(event_count|value_count|temporal|temporal_ordered)$/);
      }
    }
    assert.equal(ids.size, documents);
    assert.equal(names.size, documents);
    assert.ok(used.length > 20 && used.every((name) => names.has(name)));
  });
});
