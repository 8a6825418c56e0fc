import { z } from 'zod';
import { isKnown } from '../context.ts';
import { FLAG } from '../event.ts';
import { createGenerations, type Generations, peek, touch } from '../generations.ts';
import { addDistinct, addMark, countWithin, type Distinct, evidenceOf, type Marks } from '../marks.ts';
import { defineRule } from '../rule.ts';
import { MINUTE, HOUR, count } from './units.ts';

interface Guesses {
  marks: Marks;
  secrets: Distinct;
}

const startGuesses = ({ windowMs }: { windowMs: number }): Generations<Guesses> =>
  createGenerations(windowMs);
const createGuesses = (): Guesses => ({ marks: [], secrets: new Map() });
const GUESSED = {
  'reason|startswith': 'identity.',
  'principal.kind': 'anonymous',
  decision: 'deny',
};

export const bruteForce = defineRule({
  id: 'A1',
  version: 2,
  name: 'brute-force',
  title: 'Secrets of one principal are guessed',
  condition:
    'at least {failures} refusals with at least {secrets} different secrets within {window}, from whatever addresses; an alert for each address that tried {secrets} different secrets itself, and for one where the principal came in before only if it made {failures} refusals itself',
  beside:
    'A client that goes on with one stale secret, however often, has one different secret. The owner who mistypes while others guess from elsewhere is not counted with them. A success at an address forgets what was refused to that principal at that address, and nothing else.',
  per: 'principal; an alert for each address that completes it',
  attack: ['T1110.001'],
  atlas: [],
  defaults: { severity: 'high', response: 'block-pair', windowMs: 5 * MINUTE, holdMs: HOUR },
  params: z.strictObject({
    failures: count(20, 'refusals', 256),
    secrets: count(5, 'different secrets', 64),
  }),
  sigma: {
    selection: GUESSED,
    correlations: ({ failures, secrets }) => [
      { type: 'event_count', groupBy: ['principal.id'], gte: failures },
      { type: 'value_count', groupBy: ['principal.id'], field: 'detail.secretTag', gte: secrets },
    ],
    without: 'A success does not reset the count.',
  },
  on: ['guess', 'returned'],
  start: startGuesses,
  observe({ state, settings }, { event, context, raise }) {
    const { principal, address, time, mark } = event;
    if (principal === '') return;
    const { params, windowMs } = settings;
    if ((event.flags & FLAG.guess) === 0) {
      for (const key of [principal, event.pair]) {
        const known = peek(state, key, time);
        if (known !== undefined) forget(known, address);
      }
      return;
    }
    const own = touch(state, principal, time, createGuesses);
    // What the address did itself: else whoever guesses elsewhere could have the owner blocked at the first typing error.
    const here = touch(state, event.pair, time, createGuesses);
    for (const { marks, secrets } of [own, here]) {
      addMark(marks, mark, params.failures, event.weight);
      if (event.secretTag !== '') addDistinct(secrets, event.secretTag, mark, params.secrets, windowMs);
    }
    if (countWithin(own.marks, time, windowMs) < params.failures) return;
    if (countDistinct(here.secrets, time, windowMs) < params.secrets) return;
    const isUsual = isKnown(context, event.pair, time);
    if (isUsual && countWithin(here.marks, time, windowMs) < params.failures) return;
    raise({
      key: { principal, ...(address !== '' && { address }) },
      evidence: () => evidenceOf(own.marks, own.secrets.values()),
      suspects: [event.pair],
    });
  },
});

/** One principal's failures in an address, forgiven. */
function forget(own: Guesses, address: string): void {
  if (own.marks.length === 0) return;
  own.marks = own.marks.filter((mark) => mark.address !== address);
  for (const [tag, mark] of own.secrets) if (mark.address === address) own.secrets.delete(tag);
}

function countDistinct(all: Distinct, time: number, windowMs: number): number {
  return countWithin([...all.values()], time, windowMs);
}

interface AddressGuesses extends Guesses {
  /** Principals that were tried. */
  principals: Distinct;
}

export const bruteForceAddress = defineRule({
  id: 'A2',
  version: 1,
  name: 'brute-force-address',
  title: 'Secrets are guessed from one address',
  condition:
    'at least {failures} refusals within {window}, with at least {secrets} different secrets more than one for each principal tried',
  beside:
    'An office behind one address where clients of several people go on with a stale secret each: there are no more secrets than principals. Who mistypes and then comes in is taken off.',
  per: 'address',
  attack: ['T1110'],
  atlas: [],
  defaults: { severity: 'medium', response: 'throttle', windowMs: 10 * MINUTE, holdMs: 15 * MINUTE },
  params: z.strictObject({
    failures: count(30, 'refusals', 256),
    secrets: count(5, 'different secrets, the first included', 64),
  }),
  sigma: {
    selection: GUESSED,
    correlations: ({ failures, secrets }) => [
      { type: 'event_count', groupBy: ['source.address'], gte: failures },
      { type: 'value_count', groupBy: ['source.address'], field: 'detail.secretTag', gte: secrets },
    ],
    without: 'Stale clients of several principals behind one address are not told apart.',
  },
  on: ['guess', 'returned'],
  start: ({ windowMs }): Generations<AddressGuesses> => createGenerations(windowMs),
  observe({ state, settings }, { event, raise }) {
    const { address, principal, time, mark } = event;
    if (address === '') return;
    const { params, windowMs } = settings;
    if ((event.flags & FLAG.guess) === 0) {
      const own = peek(state, address, time);
      if (own?.principals.delete(principal) !== true) return;
      for (const text of own.secrets.keys()) if (text.startsWith(`${principal} `)) own.secrets.delete(text);
      return;
    }
    const own = touch(state, address, time, createAddressGuesses);
    addMark(own.marks, mark, params.failures, event.weight);
    addDistinct(own.principals, principal, mark, MEMBERS_MAX, windowMs);
    if (event.secretTag !== '') {
      const max = MEMBERS_MAX + params.secrets;
      addDistinct(own.secrets, `${principal} ${event.secretTag}`, mark, max, windowMs);
    }
    if (own.secrets.size - own.principals.size < params.secrets - 1) return;
    if (countWithin(own.marks, time, windowMs) < params.failures) return;
    raise({
      key: { address },
      evidence: () => evidenceOf(own.marks, own.secrets.values()),
      suspects: [address],
    });
  },
});

const MEMBERS_MAX = 64;
const createAddressGuesses = (): AddressGuesses => ({ marks: [], secrets: new Map(), principals: new Map() });

export const distributedGuessing = defineRule({
  id: 'A5',
  version: 1,
  name: 'distributed-guessing',
  title: 'One principal is tried from many addresses',
  condition:
    'refusals from at least {addresses} addresses within {window}, with at least {secrets} different secrets',
  beside:
    'Somebody changed a password and the clients on all machines go on with the old one: one secret, from many addresses.',
  per: 'principal',
  attack: ['T1110'],
  atlas: [],
  defaults: { severity: 'high', response: 'step-up', windowMs: 30 * MINUTE, holdMs: HOUR },
  params: z.strictObject({
    addresses: count(5, 'addresses', 64),
    secrets: count(2, 'different secrets', 64),
  }),
  sigma: {
    selection: GUESSED,
    correlations: ({ addresses, secrets }) => [
      { type: 'value_count', groupBy: ['principal.id'], field: 'source.address', gte: addresses },
      { type: 'value_count', groupBy: ['principal.id'], field: 'detail.secretTag', gte: secrets },
    ],
  },
  on: ['guess', 'returned'],
  start: ({ windowMs }): Generations<{ addresses: Distinct; secrets: Distinct }> =>
    createGenerations(windowMs),
  observe({ state, settings }, { event, raise }) {
    const { principal, address, time, mark } = event;
    if (principal === '' || address === '') return;
    const { params, windowMs } = settings;
    if ((event.flags & FLAG.guess) === 0) {
      peek(state, principal, time)?.addresses.delete(address);
      return;
    }
    const own = touch(state, principal, time, createSources);
    const secrets =
      event.secretTag === '' ? 0 : addDistinct(own.secrets, event.secretTag, mark, params.secrets, windowMs);
    const addresses = addDistinct(own.addresses, address, mark, MEMBERS_MAX, windowMs);
    if (addresses < params.addresses || secrets < params.secrets) return;
    raise({
      key: { principal },
      evidence: () => evidenceOf(own.addresses.values(), own.secrets.values()),
      suspects: [principal],
    });
  },
});

const createSources = (): { addresses: Distinct; secrets: Distinct } => ({
  addresses: new Map(),
  secrets: new Map(),
});

export const staleClient = defineRule({
  id: 'A7',
  version: 1,
  name: 'stale-client',
  title: 'A client goes on with one wrong secret',
  condition: 'at least {failures} refusals of one and the same secret within {window}',
  beside: 'Two different secrets: that is not a stale client, and the other rules look at it.',
  per: 'principal and address',
  attack: [],
  atlas: [],
  defaults: { severity: 'low', response: 'observe', windowMs: 10 * MINUTE, holdMs: 10 * MINUTE },
  params: z.strictObject({ failures: count(100, 'refusals', 256) }),
  sigma: {
    selection: GUESSED,
    correlations: ({ failures }) => [
      {
        type: 'event_count',
        groupBy: ['principal.id', 'source.address', 'detail.secretTag'],
        gte: failures,
      },
    ],
  },
  on: ['guess'],
  start: startGuesses,
  observe({ state, settings }, { event, raise }) {
    const { principal, address, time, mark } = event;
    if (principal === '' || address === '' || event.secretTag === '') return;
    const { params, windowMs } = settings;
    const own = touch(state, event.pair, time, createGuesses);
    addMark(own.marks, mark, params.failures, event.weight);
    if (addDistinct(own.secrets, event.secretTag, mark, 2, windowMs) > 1) return;
    if (countWithin(own.marks, time, windowMs) < params.failures) return;
    raise({ key: { principal, address }, evidence: () => evidenceOf(own.marks) });
  },
});
