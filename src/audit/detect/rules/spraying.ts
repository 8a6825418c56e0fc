import { z } from 'zod';
import { isKnown, isWelcome } from '../context.ts';
import { FLAG, type DetectionEvent } from '../event.ts';
import { createGenerations, type Generations, peek, touch } from '../generations.ts';
import { evidenceOf, isWithin, type Mark } from '../marks.ts';
import { defineRule } from '../rule.ts';
import { count, HOUR, MINUTE, ratio } from './units.ts';

interface Tried extends Mark {
  /** Guesses at this principal; 0 for one that was refused otherwise, as with an expired key. */
  guesses: number;
}

interface Place {
  /** Principals by when they were last tried, the longest ago first. */
  principals: Map<string, Tried>;
  /** When the rule last held. */
  metAt: number;
}

const PRINCIPALS_MAX = 64;
const createPlace = (): Place => ({ principals: new Map(), metAt: Number.NEGATIVE_INFINITY });

/** Notes the refusal of a principal, and forgets what is too long ago or too much. */
function tryPrincipal(place: Place, event: DetectionEvent, windowMs: number): void {
  const { principal, time, index, address } = event;
  const { principals } = place;
  const before = principals.get(principal);
  const isGuess = (event.flags & FLAG.guess) !== 0;
  const guesses = (before?.guesses ?? 0) + (isGuess ? event.weight : 0);
  principals.delete(principal);
  principals.set(principal, { time, index, address, guesses });
  for (const [oldest, tried] of principals) {
    if (principals.size <= PRINCIPALS_MAX && isWithin(tried.time, time, windowMs)) break;
    principals.delete(oldest);
  }
}

/** Those who were guessed at, at most `each` times. */
function fewTimes({ principals }: Place, each: number): Tried[] {
  return [...principals.values()].filter(({ guesses }) => guesses > 0 && guesses <= each);
}

function guessedAt({ principals }: Place): string[] {
  return [...principals].flatMap(([principal, { guesses }]) => (guesses > 0 ? [principal] : []));
}

const GUESSED = {
  'reason|startswith': 'identity.',
  'principal.kind': 'anonymous',
  decision: 'deny',
};

export const spraying = defineRule({
  id: 'A3',
  version: 1,
  name: 'password-spraying',
  title: 'Many principals are tried from one address, a few times each',
  condition:
    'refusals of at least {principals} different principals, at most {each} times each, within {window}',
  beside:
    'An office behind one address on a Monday morning: who mistypes and then comes in is taken off the list. The address as a whole is only named for blocking if nobody came in from it within the window and at least {share} of the principals tried there were guessed at.',
  per: 'address',
  attack: ['T1110.003'],
  atlas: [],
  defaults: { severity: 'high', response: 'block-pair', windowMs: 15 * MINUTE, holdMs: HOUR },
  params: z.strictObject({
    principals: count(15, 'different principals', PRINCIPALS_MAX),
    each: count(3, 'refusals of each at most', 64),
    share: ratio(0.8, 'share of the principals that must fail before an address is blocked as a whole'),
  }),
  sigma: {
    selection: GUESSED,
    correlations: ({ principals }) => [
      { type: 'value_count', groupBy: ['source.address'], field: 'principal.id', gte: principals },
    ],
    without:
      'Neither the limit for each principal nor the reset by a success can be said. Names that belong to nobody have no `principal.id`: count `detail.claimTag` for them.',
  },
  on: ['refused', 'returned'],
  start: ({ windowMs }): Generations<Place> => createGenerations(windowMs),
  observe({ state, settings }, { event, context, raise }) {
    const { address, principal, time } = event;
    if (address === '' || principal === '') return;
    const { params, windowMs } = settings;
    if ((event.flags & FLAG.refused) === 0) {
      peek(state, address, time)?.principals.delete(principal);
      return;
    }
    const place = touch(state, address, time, createPlace);
    tryPrincipal(place, event, windowMs);
    if (place.principals.size < params.principals) return;
    const few = fewTimes(place, params.each);
    if (few.length < params.principals) return;
    raise({
      key: { address },
      evidence: () => evidenceOf(few),
      principals: () => guessedAt(place),
      wholeAddress: () =>
        guessedAt(place).length >= params.share * place.principals.size &&
        !isWelcome(context, address, time, windowMs),
      suspects: [address],
    });
  },
});

interface Stuffed extends Place {
  /** Attempts with times, no more than the rule asks for. */
  attempts: Mark[];
}

export const stuffing = defineRule({
  id: 'A4',
  version: 1,
  name: 'credential-stuffing',
  title: 'Stolen credentials are tried from one network, once or twice each',
  condition:
    'at least {attempts} refusals of at least {principals} principals, at most {each} times each, within {window}; critical if somebody comes in there with a password who never did before',
  beside:
    'Whoever worked behind the same address before goes on: coming in is no sign against a principal known at that address for a week.',
  per: 'address, and network',
  attack: ['T1110.004'],
  atlas: [],
  defaults: { severity: 'high', response: 'block-pair', windowMs: 15 * MINUTE, holdMs: HOUR },
  params: z.strictObject({
    attempts: count(25, 'refusals', 256),
    principals: count(15, 'different principals', PRINCIPALS_MAX),
    each: count(2, 'refusals of each at most', 64),
    share: ratio(0.8, 'share of the principals that must fail before an address is blocked as a whole'),
  }),
  sigma: {
    selection: GUESSED,
    correlations: ({ attempts, principals }) => [
      { type: 'event_count', groupBy: ['source.address'], gte: attempts },
      { type: 'value_count', groupBy: ['source.address'], field: 'principal.id', gte: principals },
    ],
    without: 'Neither the limit for each principal, nor networks, nor the success inside can be said.',
  },
  on: ['refused', 'authenticated'],
  start: ({ windowMs }): Generations<Stuffed> => createGenerations(windowMs),
  observe({ state, settings }, { event, context, raise }) {
    const { address, network, principal, time, index } = event;
    if (address === '' || principal === '') return;
    const { params, windowMs } = settings;
    const places = network === address ? [address] : [address, network];
    for (const at of places) {
      const key = at === address ? { address } : { network };
      if ((event.flags & FLAG.refused) === 0) {
        const place = peek(state, at, time);
        if (place === undefined) continue;
        place.principals.delete(principal);
        const isPassword = event.entry.credential?.kind === 'password';
        if (!isPassword || !isWithin(place.metAt, time, windowMs)) continue;
        if (isKnown(context, event.pair, time)) continue;
        raise({
          key: { principal, address },
          variant: 'success',
          severity: 'critical',
          evidence: () => evidenceOf(place.attempts, [index]),
        });
        return;
      }
      const place = touch(state, at, time, createStuffed);
      tryPrincipal(place, event, windowMs);
      if ((event.flags & FLAG.guess) === 0) continue;
      place.attempts.push(event.mark);
      if (place.attempts.length > params.attempts) place.attempts.shift();
      const [oldest] = place.attempts;
      if (place.attempts.length < params.attempts || oldest === undefined) continue;
      if (!isWithin(oldest.time, time, windowMs) || place.principals.size < params.principals) continue;
      const few = fewTimes(place, params.each);
      if (few.length < params.principals) continue;
      place.metAt = time;
      raise({
        key,
        evidence: () => evidenceOf(few),
        principals: () => guessedAt(place),
        wholeAddress: () =>
          at === address &&
          guessedAt(place).length >= params.share * place.principals.size &&
          !isWelcome(context, address, time, windowMs),
        suspects: [at],
      });
      // The network would only say again what its one address says.
      return;
    }
  },
});

const createStuffed = (): Stuffed => ({ ...createPlace(), attempts: [] });
