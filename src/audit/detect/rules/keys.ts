import { z } from 'zod';
import { FLAG } from '../event.ts';
import { createGenerations, type Generations, touch } from '../generations.ts';
import { addMark, countWithin, evidenceOf, type Marks } from '../marks.ts';
import { defineRule } from '../rule.ts';
import { count, DAY, factor, HOUR } from './units.ts';
import { median } from './median.ts';

const REVOKED = 'identity.revoked_key';
const EXPIRED = 'identity.expired_key';

export const deadKey = defineRule({
  id: 'C1',
  version: 1,
  name: 'dead-key-used',
  title: 'A revoked or expired key is presented',
  condition:
    'any use of a revoked key (critical), or more than {expired} uses of an expired one within {window} (low)',
  beside: 'A job that presents its key a few times after it expired.',
  per: 'key',
  attack: ['T1078'],
  atlas: ['AML.T0012'],
  defaults: { severity: 'critical', response: 'observe', windowMs: HOUR, holdMs: HOUR },
  params: z.strictObject({ expired: count(10, 'uses of an expired key that are nothing', 255) }),
  sigma: {
    selection: { reason: [REVOKED, EXPIRED] },
    correlations: () => [],
    without: 'Every use of an expired key counts, and with the same severity.',
  },
  on: ['refused'],
  start: ({ windowMs }): Generations<Marks> => createGenerations(windowMs),
  observe({ state, settings }, { event, raise }) {
    const { credential, principal, address, time, index, entry } = event;
    if (credential === '') return;
    const key = { credential, ...(principal !== '' && { principal }), ...(address !== '' && { address }) };
    if (entry.reason === REVOKED)
      raise({ key: { credential }, variant: 'revoked', evidence: () => evidenceOf([index]) });
    if (entry.reason !== EXPIRED) return;
    const { params, windowMs } = settings;
    const marks = touch(state, credential, time, createMarks);
    addMark(marks, event.mark, params.expired + 1, event.weight);
    if (countWithin(marks, time, windowMs) <= params.expired) return;
    const { credential: id } = key;
    raise({
      key: { credential: id },
      variant: 'expired',
      severity: 'low',
      evidence: () => evidenceOf(marks),
    });
  },
});

const createMarks = (): Marks => [];

interface Habits {
  /** When the key was first seen. */
  readonly since: number;
  networks: Map<string, Visits>;
  /** Uses in each of the last hours in which it was used at all. */
  hours: number[];
  hour: number;
  uses: number;
}

/** Of a key, from a network. */
interface Visits {
  first: number;
  last: number;
  hour: number;
  uses: number;
  marks: Marks;
}

const NETWORKS_MAX = 32;
const HOURS_MAX = 48;
const EVIDENCE = 20;
/** Before that, everything about a key is new. */
const LEARN_MS = DAY;

export const leakedKey = defineRule({
  id: 'C2',
  version: 1,
  name: 'key-from-new-network',
  title: 'A key is used from a new network, more than ever',
  condition:
    'a network that the key was not used from within {window}, and there more than {factor} times the median of its uses in an hour, and at least {uses}',
  beside:
    'Somebody travels: a new network, and no more requests than usual. A load test at home: many requests, from the usual network. A key that is new is learnt for a day.',
  per: 'key and network',
  attack: ['T1552', 'T1078.004'],
  atlas: ['AML.T0012', 'AML.T0055'],
  defaults: { severity: 'high', response: 'observe', windowMs: 14 * DAY, holdMs: DAY },
  params: z.strictObject({
    factor: factor(3, 'times the median of the hours in which the key was used'),
    uses: count(20, 'uses within an hour, at least', 1_000_000),
  }),
  sigma: {
    selection: { 'credential.kind': 'api_key' },
    correlations: ({ uses }) => [
      { type: 'event_count', groupBy: ['credential.id', 'source.address'], gte: uses },
    ],
    without: 'What a key is used to cannot be said: it is the bare volume of a key at an address.',
  },
  on: ['authenticated'],
  start: ({ windowMs }): Generations<Habits> => createGenerations(windowMs),
  observe({ state, settings }, { event, raise }) {
    const { credential, network, time } = event;
    if (network === '' || event.entry.credential?.kind !== 'api_key') return;
    const { params, windowMs } = settings;
    const own = touch(state, credential, time, createHabits);
    const hour = Math.floor(time / HOUR);
    if (own.hour !== hour) {
      if (own.uses > 0) own.hours.push(own.uses);
      if (own.hours.length > HOURS_MAX) own.hours.shift();
      own.hour = hour;
      own.uses = 0;
    }
    own.uses++;
    const visits = visit(own, network, time, windowMs);
    const isNew = visits.first - own.since > LEARN_MS && time - visits.first <= DAY;
    if (!isNew) return;
    if (visits.hour !== hour) {
      visits.hour = hour;
      visits.uses = 0;
    }
    visits.uses++;
    addMark(visits.marks, event.mark, EVIDENCE);
    if (visits.uses < params.uses || visits.uses <= params.factor * median(own.hours)) return;
    raise({ key: { credential, network }, evidence: () => evidenceOf(visits.marks) });
  },
});

function createHabits(since: number): Habits {
  return { since, networks: new Map(), hours: [], hour: 0, uses: 0 };
}

function visit(own: Habits, network: string, time: number, windowMs: number): Visits {
  const found = own.networks.get(network);
  if (found !== undefined && time - found.last <= windowMs) {
    found.last = time;
    return found;
  }
  const visits: Visits = { first: time, last: time, hour: 0, uses: 0, marks: [] };
  own.networks.delete(network);
  own.networks.set(network, visits);
  if (own.networks.size > NETWORKS_MAX) own.networks.delete(own.networks.keys().next().value ?? '');
  return visits;
}

export const canaryKey = defineRule({
  id: 'C3',
  version: 1,
  name: 'canary-key-used',
  title: 'A key that nobody has a reason to use is used',
  condition: 'any use of one of {keys}, accepted or refused',
  beside: 'Every other key.',
  per: 'key',
  attack: ['T1552'],
  atlas: ['AML.T0055'],
  defaults: { severity: 'critical', response: 'block-key', windowMs: HOUR, holdMs: DAY },
  params: z.strictObject({
    keys: z
      .array(z.string().regex(/^key_[0-9A-Za-z]+$/))
      .max(1000)
      .default([])
      .describe('ids of keys laid out as bait'),
  }),
  sigma: {
    selection: { 'credential.id': 'key_of_the_bait' },
    correlations: () => [],
    without: 'Put the ids of your own bait into the selection.',
  },
  on: ['authenticated', 'refused'],
  start: ({ params }) => new Set(params.keys),
  observe({ state }, { event, raise }) {
    const { credential, index, flags } = event;
    if (!state.has(credential)) return;
    const variant = (flags & FLAG.refused) === 0 ? 'accepted' : 'refused';
    raise({ key: { credential }, variant, evidence: () => evidenceOf([index]) });
  },
});
