import { z } from 'zod';
import { createGenerations, type Generations, peek, touch } from '../generations.ts';
import { addMark, evidenceOf, type Marks } from '../marks.ts';
import { defineRule } from '../rule.ts';
import { slide } from './sliding.ts';
import { count, HOUR, ratio } from './units.ts';

/** Counted from the first answer near the boundary on: most who ask have none, and cost nothing. */
interface Probing {
  /** Windows since 1970. */
  window: number;
  answers: number;
  answersBefore: number;
  near: number;
  nearBefore: number;
  /** The last answers near the boundary. */
  marks: Marks;
}

const EVIDENCE = 20;

export const boundaryProbing = defineRule({
  id: 'D3',
  version: 1,
  name: 'boundary-probing',
  title: 'A principal feels for the boundary between two classes',
  condition:
    'at least {answers} answers within {window}, and more than {share} of them near the boundary: the two likeliest classes less than 0.05 apart',
  beside:
    'A user with hard cases, or a batch job: however many answers, those near the boundary are the few that the data bring along. A model that answers with labels alone, or with scores that are no probabilities, says nothing of a boundary: about it this rule is silent.',
  per: 'principal and model',
  attack: [],
  atlas: ['AML.T0043', 'AML.T0042'],
  defaults: { severity: 'high', response: 'observe', windowMs: HOUR, holdMs: HOUR },
  params: z.strictObject({
    answers: count(200, 'answers', 1_000_000_000),
    share: ratio(0.3, 'share of answers near the boundary'),
  }),
  sigma: {
    selection: {
      action: 'model.invoke',
      decision: 'allow',
      'principal.kind': ['user', 'service_account'],
      'detail.nearBoundary': true,
    },
    correlations: ({ answers, share }) => [
      {
        type: 'event_count',
        groupBy: ['principal.id', 'resource'],
        gte: Math.floor(answers * share) + 1,
      },
    ],
    without: 'The share of all answers cannot be said: it is the number of answers near the boundary.',
  },
  on: ['invoked'],
  start: ({ windowMs }): Generations<Probing> => createGenerations(windowMs),
  observe({ state, settings }, { event, raise }) {
    const { principal, model, use, time, isNearBoundary } = event;
    if (model === '') return;
    const { params, windowMs } = settings;
    const own = isNearBoundary ? touch(state, use, time, createProbing) : peek(state, use, time);
    if (own === undefined) return;
    turn(own, Math.floor(time / windowMs));
    own.answers++;
    if (!isNearBoundary) return;
    own.near++;
    addMark(own.marks, event.mark, EVIDENCE);
    const answers = slide(own.answersBefore, own.answers, time, windowMs);
    const near = slide(own.nearBefore, own.near, time, windowMs);
    if (answers < params.answers || near <= params.share * answers) return;
    raise({ key: { principal, model }, evidence: () => evidenceOf(own.marks) });
  },
});

function createProbing(): Probing {
  return { window: 0, answers: 0, answersBefore: 0, near: 0, nearBefore: 0, marks: [] };
}

function turn(own: Probing, window: number): void {
  if (window === own.window) return;
  const isNext = window === own.window + 1;
  own.answersBefore = isNext ? own.answers : 0;
  own.nearBefore = isNext ? own.near : 0;
  own.window = window;
  own.answers = 0;
  own.near = 0;
}
