import { setImmediate } from 'node:timers/promises';
import type { LogEvent } from './format/event.ts';
import type { Batch, BatchItem, Sink } from './sink/sink.ts';

/** Events as they go to a sink: batches within its limits, and what it could never take. */
export type Parcel =
  | { readonly kind: 'batch'; readonly batch: Batch }
  | { readonly kind: 'dead'; readonly event: LogEvent; readonly reason: string };

/** So many texts are made at a stretch, about a millisecond; then requests have their turn. */
export const RENDERED_AT_ONCE = 16;

/** In the order of the events. A format that fails on one event fails on that one alone. */
export async function* parcels(
  sink: Pick<Sink, 'render' | 'limits'>,
  events: readonly LogEvent[],
): AsyncGenerator<Parcel> {
  const { eventsMax, batchBytesMax, eventBytesMax } = sink.limits;
  let items: BatchItem[] = [];
  let bytes = 0;
  for (const [count, event] of events.entries()) {
    if (count > 0 && count % RENDERED_AT_ONCE === 0) await setImmediate();
    const { text, reason } = rendered(sink, event);
    const length = Buffer.byteLength(text);
    const flaw = reason ?? (length > eventBytesMax ? `${length} bytes are too many` : undefined);
    const isFull = items.length === eventsMax || bytes + length > batchBytesMax;
    if (items.length > 0 && (isFull || flaw !== undefined)) {
      yield { kind: 'batch', batch: batchOf(items) };
      items = [];
      bytes = 0;
    }
    if (flaw !== undefined) {
      yield { kind: 'dead', event, reason: flaw };
      continue;
    }
    items.push({ event, text });
    bytes += length;
  }
  if (items.length > 0) yield { kind: 'batch', batch: batchOf(items) };
}

/** Both halves of a batch of at least two. */
export function halves({ items }: Batch): readonly [Batch, Batch] {
  const middle = Math.ceil(items.length / 2);
  return [batchOf(items.slice(0, middle)), batchOf(items.slice(middle))];
}

function rendered(sink: Pick<Sink, 'render'>, event: LogEvent): { text: string; reason?: string } {
  try {
    return { text: sink.render(event) };
  } catch (error) {
    return { text: '', reason: `it cannot be formatted: ${(error as Error).message}` };
  }
}

function batchOf(items: readonly BatchItem[]): Batch {
  const first = items[0]?.event;
  const last = items.at(-1)?.event;
  const key =
    items.length === 1 ? (first?.key ?? '') : `${first?.key ?? ''}..${last?.index ?? last?.key ?? ''}`;
  return { key, origin: first?.origin ?? '', items };
}
