import { createHash } from 'node:crypto';
import { deserialize, serialize } from 'node:v8';
import type { IndexedEntry } from '../audit-log.ts';
import type { Alert, AlertKey } from './alert.ts';
import { createContext, greet, isKnown, note, suspect, suspicionOf } from './context.ts';
import { type DetectionEvent, FLAG } from './event.ts';
import { createEventReader, type NetworkOf } from './event-reader.ts';
import { createGenerations, type Generations, peek, set, sizeOf } from './generations.ts';
import type { AnyRule, Match, RuleSettings } from './rule.ts';

/** A rule with its settings: what `rules-file` makes of the table. */
export interface ConfiguredRule {
  readonly rule: AnyRule;
  readonly settings: RuleSettings<unknown>;
}

export interface Detector {
  /** Takes in the next entry of the log. The same entries, from the same state, give the same alerts. */
  observe(indexed: IndexedEntry): readonly Alert[];
  /** Claims that the principal came in from the address before `time`, as far as is remembered. */
  isKnown(principal: string, address: string, time: number): boolean;
  /** The whole state in parts, one at a step; nothing may be observed in between. */
  save(): Generator<SavedPart>;
  /** Takes up a saved state. A part whose rule has changed since, or is not there, begins anew: its id is returned. */
  load(parts: readonly SavedPart[]): readonly string[];
  /** Keys remembered, and how often a flood of keys made a rule forget early. */
  counts(): { readonly keys: number; readonly spilled: number };
}

export interface SavedPart {
  readonly id: string;
  /** Which version and settings of the rule the state belongs to. */
  readonly tag: string;
  readonly bytes: Uint8Array;
}

interface Running extends ConfiguredRule {
  readonly tag: string;
  state: unknown;
  /** When each key last gave an alert. */
  alerts: Generations<number>;
}

const CONTEXT = 'context';
const CONTEXT_TAG = '2';

export function createDetector({
  rules,
  networkOf,
}: {
  readonly rules: readonly ConfiguredRule[];
  readonly networkOf?: NetworkOf;
}): Detector {
  const read = createEventReader(networkOf);
  let context = createContext();
  const running = rules.filter(({ settings }) => settings.enabled).map(start);
  const byFlags = new Map<number, readonly Running[]>();

  return {
    observe(indexed) {
      const event = read(indexed);
      if (event.flags === 0) return NONE;
      const pair = greet(context, event);
      let alerts: Alert[] | undefined;
      let asked: Running;
      const raise = (match: Match): void => {
        const alert = alertOn(asked, event, match);
        if (alert !== undefined) (alerts ??= []).push(alert);
      };
      const at = { event, context, raise };
      for (asked of listeners(event.flags)) asked.rule.observe(asked, at);
      if (pair !== undefined) note(context, event, pair);
      return alerts ?? NONE;
    },
    isKnown: (principal, address, time) => isKnown(context, `${principal} ${address}`, time),
    *save() {
      yield { id: CONTEXT, tag: CONTEXT_TAG, bytes: serialize(context) };
      for (const { rule, tag, state, alerts } of running)
        yield { id: rule.id, tag, bytes: serialize({ state, alerts }) };
    },
    load(parts) {
      const saved = new Map(parts.map((part) => [part.id, part]));
      const fresh: string[] = [];
      const common = saved.get(CONTEXT);
      if (common?.tag === CONTEXT_TAG) context = deserialize(common.bytes) as typeof context;
      else fresh.push(CONTEXT);
      for (const each of running) {
        const part = saved.get(each.rule.id);
        if (part?.tag === each.tag) Object.assign(each, deserialize(part.bytes));
        else fresh.push(each.rule.id);
      }
      return fresh;
    },
    counts() {
      const all = [
        ...Object.values(context),
        ...running.flatMap(({ state, alerts }) => [state, alerts]),
      ].filter(isGenerations);
      return {
        keys: all.reduce((sum, each) => sum + sizeOf(each), 0),
        spilled: all.reduce((sum, each) => sum + each.spilled, 0),
      };
    },
  };

  function start({ rule, settings }: ConfiguredRule): Running {
    const tag = `${rule.version} ${JSON.stringify([settings.windowMs, settings.params])}`;
    return {
      rule,
      settings,
      tag,
      state: rule.start(settings),
      alerts: createGenerations(settings.windowMs),
    };
  }

  function listeners(flags: number): readonly Running[] {
    let found = byFlags.get(flags);
    if (found === undefined) {
      found = running.filter(({ rule }) => rule.on.some((flag) => (flags & FLAG[flag]) !== 0));
      byFlags.set(flags, found);
    }
    return found;
  }

  /** The alert of a match, unless the same key gave one within the window. */
  function alertOn(each: Running, event: DetectionEvent, match: Match): Alert | undefined {
    const { rule, settings, alerts } = each;
    const { time, index } = event;
    const key = textOf(match.key, match.variant);
    const last = peek(alerts, key, time);
    const isQuiet = last !== undefined && time - last < settings.windowMs;
    const suspects = (match.suspects ?? []).filter((who) => !suspicionOf(context, who, time, FRESH_MS));
    if (isQuiet && suspects.length === 0) return undefined;
    const evidence = match.evidence();
    for (const who of suspects) suspect(context, who, { time, rule: rule.id, evidence });
    if (isQuiet) return undefined;
    set(alerts, key, time, time);
    const principals = match.principals?.();
    return {
      id: `alr_${createHash('sha256').update(`${rule.id}\n${index}\n${key}`).digest('hex').slice(0, 16)}`,
      rule: rule.id,
      version: rule.version,
      name: rule.name,
      severity: match.severity ?? settings.severity,
      key: match.key,
      windowMs: settings.windowMs,
      time,
      at: index,
      evidence,
      attack: rule.attack,
      atlas: rule.atlas,
      response: settings.response,
      expiresAt: time + settings.holdMs,
      ...(principals !== undefined && { principals }),
      ...(match.wholeAddress?.() === true && { wholeAddress: true }),
    };
  }
}

const NONE: readonly Alert[] = [];
/** While an attack goes on, who is suspected is noted anew no more often than that. */
const FRESH_MS = 30_000;

/** A1 says the pair: its alerts are apart by address although its count is not. */
function textOf(key: AlertKey, variant = ''): string {
  const { principal = '', address = '', network = '', credential = '', model = '' } = key;
  return `${principal}\n${address}\n${network}\n${credential}\n${model}\n${variant}`;
}

function isGenerations(value: unknown): value is Generations<unknown> {
  return typeof value === 'object' && value !== null && 'epoch' in value && 'spilled' in value;
}
