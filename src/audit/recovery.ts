import { existsSync, mkdirSync, truncateSync, openSync, fsyncSync, closeSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { UnfinishedEntry } from './audit-log.ts';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import type { Entry } from './entry.ts';
import { formatVkeys, type LogKeys, vkeysOf } from './key-overlap.ts';
import {
  createLogWriter,
  type LogWriter,
  readLogFile,
  readTile,
  readTileFile,
  syncDirectory,
} from './log-files.ts';
import { auditProblems } from './problems.ts';
import { entryAt, noteStart } from './starts.ts';
import { readState, type State, STATE_FILE, serialiseState, VKEY_FILE } from './state.ts';
import { parseBundle, TILE_WIDTH, tilePath } from './tile.ts';
import { EMPTY_ROOT } from './tree.ts';
import { verification } from './verification.ts';
import { readChain } from './wal/chain.ts';
import { listSegments, segmentAt } from './wal/segment.ts';
import { type KeyRotation, keyRotationOf, parseVerifierKeys } from './witness/key-rotation.ts';

/** What is known about a log when it has been opened. */
export interface Recovered {
  readonly state: State;
  /** Index of the next entry: what is durable, sealed or not. */
  readonly next: number;
  /** Partial tiles of the sealed tree, lowest level first. */
  readonly levels: readonly (readonly Uint8Array[])[];
  /** Entries of its partial bundle. */
  readonly bundle: readonly Uint8Array[];
  /** Starts without an end among the sealed entries: id and index. */
  readonly starts: ReadonlyMap<string, number>;
  /** Starts without an end among all entries. */
  readonly unfinished: readonly UnfinishedEntry[];
  readonly last?: Pick<Entry, 'id' | 'time'>;
  /** The last entry, if it announces a new key of the log. */
  readonly announced?: KeyRotation;
  /** Bytes of an unfinished last write that were cut off. */
  readonly tornBytes: number;
}

/** So much of the end is read again, entry by entry; what is before is covered by the root of its tiles. */
const REHASHED = 65_536;

/**
 * Brings the files of a log in order, or begins a new one. Throws `audit.log_corrupt` naming the first bad entry, and
 * `audit.key_mismatch` if it was signed by none of `keys`. Cuts off a last write that never finished, and mends nothing else.
 */
export function recover(
  directory: string,
  keys: LogKeys,
  owner: string,
  files: LogWriter = createLogWriter(directory),
): Recovered {
  mkdirSync(join(directory, 'wal'), { recursive: true, mode: 0o700 });
  const found = readState(directory) ?? begin(directory, keys, files);
  const [vkey] = vkeysOf(found.state);
  if (!keys.signers.has(vkey))
    throw auditProblems.key_mismatch(`log/ was signed by ${vkey}, this keep signs as ${keys.active.vkey}`);
  if (readLogFile(directory, 'checkpoint') === undefined)
    files.put('checkpoint', Buffer.from(found.state.checkpoint));
  const { size } = openState(found.state, keys);
  check(directory, keys, size);
  const chain = finishWal(directory, size, found.state);
  const state = { ...found.state, owner };
  showKeys(directory, state, keys, files);
  files.put(STATE_FILE, Buffer.from(serialiseState(state)));
  files.put('checkpoint', Buffer.from(state.checkpoint));
  files.settle();
  const bundle =
    size % TILE_WIDTH === 0 ? [] : readEntries(directory, Math.floor(size / TILE_WIDTH), size % TILE_WIDTH);
  return { state, levels: readLevels(directory, size), bundle, ...chain };
}

/** Puts the file `vkey` right where a crash has left that of a moment before. */
function showKeys(directory: string, state: State, keys: LogKeys, files: LogWriter): void {
  const text = formatVkeys(state, keys);
  const shown = readLogFile(directory, VKEY_FILE)?.toString();
  if (shown === text) return;
  const isOurs = (vkey: string): boolean => keys.signers.has(vkey) || vkeysOf(state).includes(vkey);
  if (shown !== undefined && parseVerifierKeys(shown)?.every(isOurs) !== true)
    throw auditProblems.log_corrupt('vkey is not the key that signed this log');
  files.put(VKEY_FILE, Buffer.from(text));
}

/** A new log: an empty segment first, so that from the first signature on its loss is noticed. */
function begin(directory: string, { active }: LogKeys, files: LogWriter): { readonly state: State } {
  const isUsed = ['checkpoint', 'tile', 'vkey'].some((file) => existsSync(join(directory, file)));
  const holdsEntries = listSegments(directory).some(({ path, first }) => first > 0 || isNotEmpty(path));
  if (isUsed || holdsEntries)
    throw auditProblems.log_corrupt(`${STATE_FILE} is missing from a log that is not empty`);
  const { path } = segmentAt(directory, 0);
  writeFileSync(path, '', { mode: 0o600, flush: true });
  syncDirectory(dirname(path));
  const checkpoint = signCheckpoint({ origin: active.name, size: 0, root: EMPTY_ROOT }, active);
  const state: State = { vkey: active.vkey, owner: '', checkpoint, previousSize: 0, unfinishedFrom: 0 };
  files.put(STATE_FILE, Buffer.from(serialiseState(state)));
  files.settle();
  return { state };
}

function isNotEmpty(path: string): boolean {
  return (readLogFile(dirname(path), path.slice(dirname(path).length + 1))?.length ?? 0) > 0;
}

function openState(state: State, { verifiers }: LogKeys): { readonly size: number } {
  try {
    return openCheckpoint(state.checkpoint, verifiers);
  } catch (error) {
    throw auditProblems.log_corrupt(`${STATE_FILE}: ${(error as Error).message}`, { cause: error });
  }
}

function check(directory: string, { verifiers }: LogKeys, size: number): void {
  const steps = verification(directory, verifiers, { since: size - REHASHED });
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  const [problem] = step.value.problems;
  if (problem !== undefined) throw auditProblems.log_corrupt(problem.message);
}

type WalFacts = Pick<Recovered, 'next' | 'starts' | 'unfinished' | 'last' | 'announced' | 'tornBytes'>;

function finishWal(directory: string, size: number, { unfinishedFrom }: State): WalFacts {
  const open = new Map<string, number>();
  const entries = new Map<number, Uint8Array>();
  const note = (index: number, bytes: Uint8Array): void => {
    noteStart(open, index, bytes);
    if (open.size > 0 && [...open.values()].at(-1) === index) entries.set(index, Uint8Array.from(bytes));
  };
  let last: { readonly index: number; readonly bytes: Uint8Array } | undefined;
  for (let place = Math.floor(unfinishedFrom / TILE_WIDTH); place * TILE_WIDTH < size; place++) {
    const width = Math.min(TILE_WIDTH, size - place * TILE_WIDTH);
    readEntries(directory, place, width).forEach((bytes, at) => note(place * TILE_WIDTH + at, bytes));
  }
  if (size > 0) {
    const bytes = readEntries(
      directory,
      Math.floor((size - 1) / TILE_WIDTH),
      ((size - 1) % TILE_WIDTH) + 1,
    ).at(-1);
    if (bytes !== undefined) last = { index: size - 1, bytes };
  }
  const starts = new Map(open);
  const records = readChain(directory);
  let step = records.next();
  for (; step.done !== true; step = records.next()) {
    const { index, entry } = step.value;
    if (index < size) continue;
    note(index, entry);
    last = { index, bytes: Uint8Array.from(entry) };
  }
  const { live, next } = step.value;
  if (live === undefined)
    throw auditProblems.log_corrupt(`entry ${size} may be missing: wal/ has no segment`);
  if (live.rest > 0) cut(live.segment.path, live.bytes);
  const unfinished = [...open].map(([id, index]) => {
    return { index, id, entry: entryAt(index, entries.get(index) ?? new Uint8Array()) };
  });
  const entry = last === undefined ? undefined : entryAt(last.index, last.bytes);
  const announced = entry && keyRotationOf(entry);
  return {
    next,
    starts,
    unfinished,
    tornBytes: live.torn,
    ...(announced !== undefined && { announced }),
    ...(entry !== undefined && { last: { id: entry.id, time: entry.time } }),
  };
}

function cut(path: string, bytes: number): void {
  truncateSync(path, bytes);
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function readEntries(directory: string, place: number, width: number): readonly Uint8Array[] {
  const bundle = readTileFile(directory, 'entries', place, width);
  if (bundle === undefined)
    throw auditProblems.log_corrupt(`${tilePath('entries', place, width)} is missing`);
  return parseBundle(bundle.bytes).entries.slice(0, width);
}

function readLevels(directory: string, size: number): readonly (readonly Uint8Array[])[] {
  const levels: (readonly Uint8Array[])[] = [];
  for (let level = 0, nodes = size; nodes > 0; level++, nodes = Math.floor(nodes / TILE_WIDTH)) {
    const width = nodes % TILE_WIDTH;
    const index = Math.floor(nodes / TILE_WIDTH);
    const hashes = width === 0 ? [] : readTile(directory, level, index, width);
    if (hashes === undefined) throw auditProblems.log_corrupt(`${tilePath(level, index, width)} is missing`);
    levels.push(hashes);
  }
  return levels;
}
