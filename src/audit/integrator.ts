import { auditProblems } from './problems.ts';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { createEdge } from './edge.ts';
import {
  allVkeysOf,
  endOverlap,
  formatVkeys,
  isSignedBy,
  type KeyOverlap,
  type LogKeys,
  signersOf,
  successionOf,
} from './key-overlap.ts';
import { createLogWriter, type LogWriter, readLogFile } from './log-files.ts';
import type { Recovered } from './recovery.ts';
import { noteStart } from './starts.ts';
import { type State, STATE_FILE, serialiseState, VKEY_FILE } from './state.ts';
import { encodeBundle, encodeTile, TILE_WIDTH, tilePath } from './tile.ts';
import { HASH_BYTES, leafHash } from './tree.ts';
import { listSegments, readSegment, type Segment } from './wal/segment.ts';

/**
 * Turns the write-ahead log into tiles and signed checkpoints. A cursor over the log: whatever it has written can be
 * written again, and what it signs grows out of what it holds in memory, never out of what it reads back.
 */
export interface Integrator {
  /**
   * Seals the entries below `upTo`, which must be durable, and returns the checkpoint. At `now`, milliseconds since
   * 1970, an overlap of keys may be over. After an error from the file system it may be called again; after a Problem
   * it may not.
   */
  seal(upTo: number, now: number): Sealed;
  /** From now on both keys sign. The entry that announces it must be sealed. `now` as in `seal`. */
  rotate(overlap: KeyOverlap, now: number): Sealed;
  /** From which key to which the log is to change. */
  succession(): { readonly from: string; readonly to: string } | undefined;
  /** Leaf hashes of entries that became durable, in order: what is read from the disk must have them. */
  expect(leaves: Uint8Array): void;
}

export interface Sealed {
  readonly size: number;
  readonly checkpoint: string;
  /** The verifier keys of who signed it, the present one first. */
  readonly vkeys: readonly [string, ...string[]];
  /** While two keys sign: until when, milliseconds since 1970. */
  readonly overlapUntil?: number;
}

export interface IntegratorOptions {
  readonly directory: string;
  readonly keys: LogKeys;
  readonly recovered: Recovered;
  /** A test puts failing ones in their place. */
  readonly files?: LogWriter;
}

/** Full tiles are written when this much waits, so that a long tail does not fill the memory. */
const OUTBOX_BYTES = 8 << 20;

export function createIntegrator(options: IntegratorOptions): Integrator {
  const { directory, keys, recovered, files = createLogWriter(directory) } = options;
  const outbox: { readonly file: string; readonly bytes: Uint8Array; readonly partials: string }[] = [];
  const expected: { readonly from: number; readonly leaves: Uint8Array }[] = [];
  const starts = new Map(recovered.starts);
  const written = new Map<number, number>();
  const edge = createEdge({
    levels: recovered.levels,
    onTile: (level, index, hashes) => keep(level, index, encodeTile(hashes)),
  });
  let bundle: Uint8Array[] = [...recovered.bundle];
  let outboxBytes = 0;
  let expectedEnd = recovered.next;
  let cursor: { readonly segment: Segment; readonly index: number; readonly offset: number } | undefined;
  let state = recovered.state;
  let attempted = state;
  let shown = readLogFile(directory, VKEY_FILE)?.toString();
  // The ML-DSA-44 line is begun, or left off, when the log is opened.
  let isSigned = isSignedBy(state.checkpoint, allVkeysOf(state, keys));
  return { seal, rotate, succession: () => successionOf(state, keys), expect };

  function expect(leaves: Uint8Array): void {
    expected.push({ from: expectedEnd, leaves });
    expectedEnd += leaves.length / HASH_BYTES;
  }

  function seal(upTo: number, now: number): Sealed {
    const { size } = openCheckpoint(state.checkpoint, keys.verifiers);
    flushOutbox();
    if (edge.size() < upTo) integrate(upTo);
    flushOutbox();
    const next = endOverlap(state, keys, now);
    if (edge.size() > size || next !== state || !isSigned) publish(next, size, now);
    else showKeys();
    return sealed();
  }

  function rotate(overlap: KeyOverlap, now: number): Sealed {
    const { size } = openCheckpoint(state.checkpoint, keys.verifiers);
    publish({ ...state, rotation: overlap }, size, now);
    return sealed();
  }

  function sealed(): Sealed {
    const { checkpoint, rotation } = state;
    return {
      size: edge.size(),
      checkpoint,
      vkeys: allVkeysOf(state, keys),
      ...(rotation !== undefined && { overlapUntil: rotation.until }),
    };
  }

  /** Signs what is integrated with the keys that `next` names, the state first. */
  function publish(next: State, previousSize: number, now: number): void {
    writePartials();
    files.settle();
    const checkpoint = signCheckpoint(
      { origin: keys.active.name, size: edge.size(), root: edge.root() },
      signersOf(next, keys, now),
    );
    const unfinishedFrom = Math.min(edge.size(), ...starts.values());
    commit({ ...next, checkpoint, previousSize, unfinishedFrom });
    isSigned = true;
    files.put('checkpoint', Buffer.from(checkpoint));
    showKeys();
    files.settle();
    removeSegments(previousSize);
  }

  function showKeys(): void {
    const text = formatVkeys(state, keys);
    if (text === shown) return;
    files.put(VKEY_FILE, Buffer.from(text));
    files.settle();
    shown = text;
  }

  /** Compares with what was written before, so that of two signers on one directory the first one stops. */
  function commit(next: State): void {
    const text = readLogFile(directory, STATE_FILE)?.toString();
    if (text !== serialiseState(state) && text !== serialiseState(attempted)) {
      throw auditProblems.log_corrupt(`${STATE_FILE} was changed by someone else while the log was open`);
    }
    attempted = next;
    files.put(STATE_FILE, Buffer.from(serialiseState(next)));
    files.settle();
    state = next;
  }

  function integrate(upTo: number): void {
    while (edge.size() < upTo) {
      cursor ??= start();
      const { segment, index, offset } = cursor;
      let at = { index, offset };
      for (const record of readSegment(segment, at)) {
        at = { index: record.index + 1, offset: record.end };
        if (record.index < edge.size()) continue;
        add(record.index, Uint8Array.from(record.entry));
        cursor = { segment, ...at };
        if (outboxBytes > OUTBOX_BYTES) flushOutbox();
        if (at.index >= upTo) break;
      }
      if (edge.size() >= upTo) return;
      const following = listSegments(directory).find(
        (each) => each.first === at.index && each.first !== segment.first,
      );
      if (following === undefined) {
        throw auditProblems.log_corrupt(
          `entry ${at.index} was durable and is not in the write-ahead log any more`,
        );
      }
      cursor = { segment: following, index: following.first, offset: 0 };
    }
  }

  function start(): { readonly segment: Segment; readonly index: number; readonly offset: number } {
    const segment = listSegments(directory).findLast((each) => each.first <= edge.size());
    if (segment === undefined) {
      throw auditProblems.log_corrupt(
        `entry ${edge.size()} was durable and is not in the write-ahead log any more`,
      );
    }
    return { segment, index: segment.first, offset: 0 };
  }

  function add(index: number, entry: Uint8Array): void {
    const leaf = leafHash(entry);
    while (expected[0] !== undefined && expected[0].from + expected[0].leaves.length / HASH_BYTES <= index) {
      expected.shift();
    }
    const [group] = expected;
    if (group !== undefined && group.from <= index) {
      const at = (index - group.from) * HASH_BYTES;
      if (Buffer.compare(leaf, group.leaves.subarray(at, at + HASH_BYTES)) !== 0) {
        throw auditProblems.log_corrupt(
          `entry ${index} was changed in the write-ahead log before it was sealed`,
        );
      }
    }
    noteStart(starts, index, entry);
    bundle.push(entry);
    if (bundle.length === TILE_WIDTH) {
      keep('entries', Math.floor(index / TILE_WIDTH), encodeBundle(bundle));
      bundle = [];
    }
    edge.append(leaf);
  }

  function keep(level: number | 'entries', index: number, bytes: Uint8Array): void {
    const file = tilePath(level, index);
    outbox.push({ file, bytes, partials: `${file}.p` });
    outboxBytes += bytes.length;
  }

  function flushOutbox(): void {
    if (outbox.length === 0) return;
    for (const { file, bytes } of outbox) files.put(file, bytes);
    files.settle();
    for (const { partials } of outbox) files.remove(partials);
    outbox.length = 0;
    outboxBytes = 0;
  }

  function writePartials(): void {
    if (bundle.length > 0) {
      files.put(
        tilePath('entries', Math.floor(edge.size() / TILE_WIDTH), bundle.length),
        encodeBundle(bundle),
      );
    }
    for (let level = 0, nodes = edge.size(); nodes > 0; level++, nodes = Math.floor(nodes / TILE_WIDTH)) {
      const hashes = edge.partial(level);
      if (hashes.length === 0 || written.get(level) === nodes) continue;
      files.put(tilePath(level, Math.floor(nodes / TILE_WIDTH), hashes.length), encodeTile(hashes));
      written.set(level, nodes);
    }
  }

  /** Keeps what the last two checkpoints do not both cover, and always the live segment. */
  function removeSegments(covered: number): void {
    const segments = listSegments(directory);
    segments.forEach((segment, at) => {
      const following = segments[at + 1];
      if (following === undefined || following.first > covered) return;
      // A checkpoint that only changes its signatures covers all of the segment that was read last.
      if (cursor?.segment.first === segment.first) cursor = undefined;
      files.remove(segment.file);
    });
  }
}
