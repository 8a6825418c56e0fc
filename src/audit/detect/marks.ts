/** An entry that counts: when, where in the log, and from which address. */
export interface Mark {
  readonly time: number;
  readonly index: number;
  readonly address: string;
}

/** The last `max` marks, oldest first. Exact for `at least max within a window`, and for `max` up to some hundreds. */
export type Marks = Mark[];

/** A coalesced entry of `weight` attempts counts as so many. */
export function addMark(marks: Marks, mark: Mark, max: number, weight = 1): void {
  for (let left = Math.min(weight, max); left > 0; left--) {
    if (marks.length >= max) marks.shift();
    marks.push(mark);
  }
}

export function countWithin(marks: Marks, time: number, windowMs: number): number {
  let from = 0;
  while (from < marks.length && !isWithin((marks[from] as Mark).time, time, windowMs)) from++;
  return marks.length - from;
}

/** Different texts, each with its last mark, the one longest unseen first. */
export type Distinct = Map<string, Mark>;

/** Adds `text`, forgets what is older than the window or beyond `max`, and gives how many are left. */
export function addDistinct(all: Distinct, text: string, mark: Mark, max: number, windowMs: number): number {
  all.delete(text);
  all.set(text, mark);
  for (const [oldest, { time }] of all) {
    if (all.size <= max && isWithin(time, mark.time, windowMs)) break;
    all.delete(oldest);
  }
  return all.size;
}

/** A clock that stepped back makes old marks young, never the other way. */
export function isWithin(then: number, now: number, windowMs: number): boolean {
  return now - then <= windowMs;
}

const EVIDENCE_MAX = 20;

/** The newest twenty indices, ascending, each once. */
export function evidenceOf(...sources: readonly (Iterable<Mark> | readonly number[])[]): readonly number[] {
  const indices = new Set<number>();
  for (const source of sources)
    for (const each of source) indices.add(typeof each === 'number' ? each : each.index);
  return [...indices].toSorted((a, b) => a - b).slice(-EVIDENCE_MAX);
}
