import { z } from 'zod';
import type { DetectionEvent } from '../event.ts';
import { createGenerations, type Generations, touch } from '../generations.ts';
import { INPUT_DAYS, type Inputs, noveltyOf } from '../inputs.ts';
import { evidenceOf } from '../marks.ts';
import { defineRule } from '../rule.ts';
import { median } from './median.ts';
import { slide } from './sliding.ts';
import { count, DAY, factor, HOUR, ratio } from './units.ts';

const INVOKED = {
  action: 'model.invoke',
  decision: 'allow',
  'principal.kind': ['user', 'service_account'],
};
const EVIDENCE = 20;

interface Volume {
  /** This hour and the one before, counted from the clock's full hours; the same for days. */
  hour: number;
  hourCount: number;
  hourBefore: number;
  day: number;
  dayCount: number;
  dayBefore: number;
  /** The fullest hour of today. */
  peak: number;
  /** Of the last days with any requests. */
  days: number[];
  peaks: number[];
  recent: number[];
}

const DAYS_MAX = 14;
/** With fewer days than that there is no habit to compare with. */
const DAYS_MIN = 3;

export const extractionVolume = defineRule({
  id: 'D1',
  version: 1,
  name: 'extraction-volume',
  title: 'A principal asks a model more than it ever did',
  condition:
    'at least {hour} answers within an hour and {factor} times the median of its fullest hours, or at least {day} within a day and {factor} times the median of its days, of the last fourteen',
  beside:
    'A batch job that scores every night: after three nights it is compared with itself. A load test raises this alert and nothing else: nobody is slowed down.',
  per: 'principal and model',
  attack: [],
  atlas: ['AML.T0024.002', 'AML.T0034', 'AML.T0040'],
  defaults: { severity: 'medium', response: 'observe', windowMs: HOUR, holdMs: HOUR },
  params: z.strictObject({
    hour: count(500, 'answers within an hour', 1_000_000_000),
    day: count(1000, 'answers within a day', 1_000_000_000),
    factor: factor(5, 'times its own median'),
  }),
  sigma: {
    selection: INVOKED,
    correlations: ({ hour }) => [{ type: 'event_count', groupBy: ['principal.id', 'resource'], gte: hour }],
    without: 'What a principal is used to, and the limit for a day, cannot be said.',
  },
  on: ['invoked'],
  start: (): Generations<Volume> => createGenerations(DAYS_MAX * DAY),
  observe({ state, settings }, { event, raise }) {
    const { principal, model, time, index } = event;
    const { params } = settings;
    const own = touch(state, event.use, time, createVolume);
    turn(own, time);
    own.hourCount++;
    own.dayCount++;
    if (own.hourCount > own.peak) own.peak = own.hourCount;
    if (own.recent.length >= EVIDENCE) own.recent.shift();
    own.recent.push(index);
    // At most that many, and nearly always too few: a remainder of large numbers costs more than all before.
    if (own.hourBefore + own.hourCount < params.hour && own.dayBefore + own.dayCount < params.day) return;
    const inHour = slide(own.hourBefore, own.hourCount, time, HOUR);
    const inDay = slide(own.dayBefore, own.dayCount, time, DAY);
    if (inHour < params.hour && inDay < params.day) return;
    const isHour = inHour >= Math.max(params.hour, params.factor * usual(own.peaks));
    const isDay = inDay >= Math.max(params.day, params.factor * usual(own.days));
    if (isHour || isDay)
      raise({
        key: { principal, model },
        variant: isHour ? 'hour' : `day ${own.day}`,
        evidence: () => evidenceOf(own.recent),
      });
  },
});

function createVolume(): Volume {
  const counts = { hourCount: 0, hourBefore: 0, dayCount: 0, dayBefore: 0 };
  return { hour: 0, day: 0, ...counts, peak: 0, days: [], peaks: [], recent: [] };
}

function turn(own: Volume, time: number): void {
  const hour = Math.floor(time / HOUR);
  if (hour === own.hour) return;
  own.hourBefore = hour === own.hour + 1 ? own.hourCount : 0;
  own.hour = hour;
  own.hourCount = 0;
  const day = Math.floor(time / DAY);
  if (day === own.day) return;
  if (own.dayCount > 0) {
    own.days.push(own.dayCount);
    own.peaks.push(own.peak);
    if (own.days.length > DAYS_MAX) own.days.shift();
    if (own.peaks.length > DAYS_MAX) own.peaks.shift();
  }
  own.dayBefore = day === own.day + 1 ? own.dayCount : 0;
  own.day = day;
  own.dayCount = 0;
  own.peak = 0;
}

function usual(values: readonly number[]): number {
  return values.length < DAYS_MIN ? 0 : median(values);
}

const budgets = {
  budget: count(1000, 'different inputs of a model within seven days', 1_000_000_000),
  budgets: z
    .record(z.string().regex(/^\/projects\/[^/]+\/models\/[^/]+$/), z.number().int().min(1))
    .default({})
    .describe('budgets of single models, by path'),
  novelty: ratio(0.95, 'share of inputs that were never sent before'),
};

type Budgets = Readonly<{ budget: number; budgets: Readonly<Record<string, number>>; novelty: number }>;

function budgetOf({ budget, budgets: own }: Budgets, model: string): number {
  // To look up a text among properties costs as much as the rest of a rule, and mostly there are none.
  for (const _ in own) return own[model] ?? budget;
  return budget;
}
const isNovel = (inputs: Inputs, { novelty }: Budgets): boolean => noveltyOf(inputs) > novelty;

export const extractionNovelty = defineRule({
  id: 'D2',
  version: 1,
  name: 'extraction-novelty',
  title: 'A principal explores a model',
  condition:
    'at least {budget} different inputs within seven days, and more than {novelty} of all inputs never sent before',
  beside:
    'An application whose users ask for the same things again: however many answers, the share of new inputs is low.',
  per: 'principal and model',
  attack: [],
  atlas: ['AML.T0024.002'],
  defaults: { severity: 'high', response: 'observe', windowMs: DAY, holdMs: HOUR },
  params: z.strictObject(budgets),
  sigma: {
    selection: INVOKED,
    correlations: ({ budget }) => [
      {
        type: 'value_count',
        groupBy: ['principal.id', 'resource'],
        field: 'detail.inputTag',
        gte: budget,
        timespanMs: INPUT_DAYS * DAY,
      },
    ],
    without: 'The share of new inputs cannot be said.',
  },
  on: ['invoked'],
  start: (): Generations<number[]> => createGenerations(INPUT_DAYS * DAY),
  observe({ state, settings }, { event, raise }) {
    const { principal, model, time, index, inputs } = event;
    if (inputs === undefined) return;
    const { params } = settings;
    const budget = budgetOf(params, model);
    // The last entries are all that is shown of thousands; none is kept before they could be needed.
    if (inputs.distinct < budget / 2) return;
    const recent = touch(state, event.use, time, () => []);
    if (recent.length >= EVIDENCE) recent.shift();
    recent.push(index);
    if (inputs.distinct < budget || !isNovel(inputs, params)) return;
    raise({ key: { principal, model }, evidence: () => evidenceOf(recent) });
  },
});

interface Circle {
  members: Map<string, Member>;
  /** Sum of the different inputs of its members, and how many have any. */
  sum: number;
  active: number;
}

interface Member {
  time: number;
  index: number;
  distinct: number;
}

const MEMBERS_MAX = 256;

export const collusion = defineRule({
  id: 'D4',
  version: 1,
  name: 'extraction-collusion',
  title: 'Several principals of one network explore a model together',
  condition:
    'at least {principals} principals of one network, each below the budget of D2 and each with more than {novelty} new inputs, and together at least twice the budget of {budget} within seven days',
  beside:
    'Colleagues in one office who use an application: their inputs repeat, and they do not count. A second user of the office alone: too few.',
  per: 'network and model',
  attack: [],
  atlas: ['AML.T0024.002'],
  defaults: { severity: 'high', response: 'observe', windowMs: DAY, holdMs: HOUR },
  params: z.strictObject({ ...budgets, principals: count(3, 'principals', MEMBERS_MAX) }),
  sigma: {
    selection: INVOKED,
    correlations: ({ principals, budget }) => [
      {
        type: 'value_count',
        groupBy: ['resource'],
        field: 'principal.id',
        gte: principals,
        timespanMs: INPUT_DAYS * DAY,
      },
      {
        type: 'value_count',
        groupBy: ['resource'],
        field: 'detail.inputTag',
        gte: 2 * budget,
        timespanMs: INPUT_DAYS * DAY,
      },
    ],
    without: 'Networks, the budget of each and the share of new inputs cannot be said.',
  },
  on: ['invoked'],
  start: (): Generations<Circle> => createGenerations(INPUT_DAYS * DAY),
  observe({ state, settings }, { event, raise }) {
    const { model, network, time, inputs } = event;
    if (network === '' || inputs === undefined) return;
    const { params } = settings;
    const budget = budgetOf(params, model);
    const circle = touch(state, event.circle, time, createCircle);
    const counts = inputs.distinct < budget && isNovel(inputs, params);
    see(circle, event, counts ? inputs.distinct : 0);
    const isMet = (): boolean => circle.active >= params.principals && circle.sum >= 2 * budget;
    if (!isMet()) return;
    forgetBefore(circle, time - INPUT_DAYS * DAY);
    if (!isMet()) return;
    raise({
      key: { network, model },
      evidence: () => evidenceOf(activeOf(circle).map(([, each]) => each.index)),
      principals: () => activeOf(circle).map(([each]) => each),
    });
  },
});

const createCircle = (): Circle => ({ members: new Map(), sum: 0, active: 0 });

/** Members stay in the place they have: to keep them in order would cost more than all else here, at every answer. */
function see(circle: Circle, { principal, time, index }: DetectionEvent, distinct: number): void {
  const { members } = circle;
  const known = members.get(principal);
  if (known !== undefined) {
    uncount(circle, known);
    known.time = time;
    known.index = index;
    known.distinct = distinct;
  } else {
    members.set(principal, { time, index, distinct });
    if (members.size > MEMBERS_MAX) leave(circle, longestUnseen(members));
  }
  circle.sum += distinct;
  if (distinct > 0) circle.active++;
}

function forgetBefore(circle: Circle, time: number): void {
  for (const [principal, member] of circle.members) if (member.time < time) leave(circle, principal);
}

function leave(circle: Circle, principal: string): void {
  const member = circle.members.get(principal);
  if (member !== undefined) uncount(circle, member);
  circle.members.delete(principal);
}

function uncount(circle: Circle, { distinct }: Member): void {
  circle.sum -= distinct;
  if (distinct > 0) circle.active--;
}

function longestUnseen(members: ReadonlyMap<string, Member>): string {
  let found = '';
  let first = Number.POSITIVE_INFINITY;
  for (const [principal, { index }] of members) {
    if (index >= first) continue;
    found = principal;
    first = index;
  }
  return found;
}

/** The last of them, the one longest unseen first. */
function activeOf({ members }: Circle): [string, Member][] {
  const active = [...members].filter(([, { distinct }]) => distinct > 0);
  return active.toSorted(([, a], [, b]) => a.index - b.index).slice(-PRINCIPALS_MAX);
}

const PRINCIPALS_MAX = 64;
