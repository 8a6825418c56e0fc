import { z } from 'zod';
import { pairOf, suspicionOf } from '../context.ts';
import { evidenceOf } from '../marks.ts';
import { defineRule } from '../rule.ts';
import { HOUR, MINUTE } from './units.ts';

const GUESSED = { 'reason|startswith': 'identity.', 'principal.kind': 'anonymous', decision: 'deny' };

export const successAfterGuessing = defineRule({
  id: 'A6',
  version: 1,
  name: 'success-after-guessing',
  title: 'A principal that was guessed at comes in',
  condition:
    'a principal comes in, from an address where it was refused, within {window} after A1 to A5 held for it or for the address',
  beside:
    'A neighbour of the attacker, behind the same address, who mistypes once: known at that address from before, it is not counted against it. Nor is the owner of the account, at the usual place, while others guess from elsewhere.',
  per: 'principal and address',
  attack: ['T1078'],
  atlas: ['AML.T0012'],
  defaults: { severity: 'critical', response: 'block-pair', windowMs: 10 * MINUTE, holdMs: HOUR },
  params: z.strictObject({}),
  sigma: {
    selection: { 'principal.kind': ['user', 'service_account'], decision: 'allow' },
    correlations: () => [
      { type: 'temporal_ordered', groupBy: ['principal.id'], after: { selection: GUESSED, gte: 20 } },
    ],
    without:
      'What comes before is twenty refusals, of whatever secrets, and neither the address nor who was known there can be said.',
  },
  on: ['returned'],
  start: () => undefined,
  observe({ settings }, { event, context, raise }) {
    const { principal, address, network, pair, time, index } = event;
    const { windowMs } = settings;
    const own = pairOf(context, pair, time);
    if (own === undefined || own.failures === 0 || time - own.failedLast > windowMs) return;
    const guessed = suspicionOf(context, pair, time, windowMs);
    const isKnown = own.goodAt !== 0 && own.goodAt < own.failedFirst;
    const suspicion =
      guessed ??
      (isKnown
        ? undefined
        : [principal, address, network]
            .map((key) => suspicionOf(context, key, time, windowMs))
            .find((each) => each !== undefined));
    if (suspicion === undefined) return;
    raise({
      key: { principal, address },
      evidence: () => evidenceOf(suspicion.evidence, [own.failedIndex, index]),
    });
  },
});
