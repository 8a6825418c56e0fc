import { addAll, addHash, type Cardinality, createCardinality, estimate, hashOf } from './cardinality.ts';

const DAY_MS = 86_400_000;
export const INPUT_DAYS = 7;

/** How many inputs of a model were different, of how many, in the last seven days: of one principal. Plain data. */
export interface Inputs {
  days: Day[];
  all: Cardinality;
  total: number;
  distinct: number;
}

interface Day {
  readonly day: number;
  readonly all: Cardinality;
  total: number;
}

export function createInputs(): Inputs {
  return { days: [], all: createCardinality(), total: 0, distinct: 0 };
}

export function addInput(own: Inputs, tag: string, time: number): void {
  const day = Math.floor(time / DAY_MS);
  let today = own.days.at(-1);
  if (today === undefined || today.day < day) {
    const isFirst = today === undefined;
    today = { day, all: createCardinality(), total: 0 };
    own.days.push(today);
    // Of most there is one day, and it is all there is.
    if (isFirst) own.all = today.all;
    else forgetBefore(own, day - INPUT_DAYS + 1);
  }
  const value = hashOf(tag);
  addHash(today.all, value);
  if (own.all !== today.all) addHash(own.all, value);
  today.total++;
  own.total++;
  own.distinct = estimate(own.all);
}

function forgetBefore(own: Inputs, first: number): void {
  own.days = own.days.filter(({ day }) => day >= first);
  own.all = createCardinality();
  own.total = 0;
  for (const { all, total } of own.days) {
    addAll(own.all, all);
    own.total += total;
  }
}

/** Share of the inputs that were new. */
export function noveltyOf({ distinct, total }: Inputs): number {
  return total === 0 ? 0 : distinct / total;
}
