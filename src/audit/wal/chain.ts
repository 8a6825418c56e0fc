import { readSegment, listSegments, type Segment, type SegmentRecord } from './segment.ts';

/** How the write-ahead log ends. */
export interface ChainEnd {
  /** Index of the first entry; undefined if there is no segment. */
  readonly first?: number;
  /** Index after the last good record. */
  readonly next: number;
  /** The last segment, which is never removed: the length of its good part, and what lies behind, see `SegmentEnd`. */
  readonly live?: {
    readonly segment: Segment;
    readonly bytes: number;
    readonly rest: number;
    readonly torn: number;
  };
  readonly fault?: ChainFault;
}

export interface ChainFault {
  /** The first entry that cannot be read. */
  readonly index: number;
  readonly file: string;
  readonly message: string;
}

/** Reads all segments as one row of records, up to the first fault: a gap between segments, or a damaged record. */
export function* readChain(
  directory: string,
): Generator<SegmentRecord & { readonly file: string }, ChainEnd> {
  const segments = listSegments(directory);
  const first = segments[0]?.first;
  if (first === undefined) return { next: 0 };
  let next = first;
  for (const [at, segment] of segments.entries()) {
    const { file } = segment;
    if (segment.first !== next) {
      const message =
        segment.first > next
          ? `entry ${next} is missing: no segment before ${file} holds it`
          : `entry ${segment.first} stands in two segments, the second is ${file}`;
      return { first, next, fault: { index: Math.min(next, segment.first), file, message } };
    }
    const records = readSegment(segment);
    let step = records.next();
    for (; step.done !== true; step = records.next()) yield { ...step.value, file };
    const end = step.value;
    next = end.next;
    const isLive = at === segments.length - 1;
    if (end.kind === 'damaged' || (end.kind === 'torn' && !isLive)) {
      const message = `entry ${next} is damaged at byte ${end.offset} of ${file}`;
      return { first, next, fault: { index: next, file, message } };
    }
    if (isLive) return { first, next, live: { segment, bytes: end.offset, rest: end.rest, torn: end.torn } };
  }
  return { first, next };
}
