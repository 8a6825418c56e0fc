import { deserialize, serialize } from 'node:v8';
import type { Clock } from '../../kernel/clock.ts';
import type { IndexedEntry } from '../audit-log.ts';
import { type Alert, alertOf, type Severity } from './alert.ts';
import { type NetworkOf, networkOf as byPrefix } from './event-reader.ts';
import { detectionProblems as problems } from './problems.ts';

/** What is known of who knocks; the more is known, the fewer neighbours are hit. */
export interface Visitor {
  readonly address: string;
  /** Whom it claims to be, if that principal exists; or whom it has proved to be. */
  readonly principalId?: string;
  /** `key_…`, or `password:usr_…`. */
  readonly credentialId?: string;
  /** `/projects/{project}/models/{model}`: what is held against this one alone. */
  readonly model?: string;
  /**
   * The credential was right. Before that, nobody is slowed down because of a name that anyone can claim; after it, nobody
   * because of others at the address.
   */
  readonly isProven?: boolean;
}

export type Verdict =
  | 'pass'
  | { readonly kind: 'throttle'; readonly waitMs: number; readonly alert: string }
  | { readonly kind: 'block'; readonly until: number; readonly alert: string };

/** One thing that is done because of an alert, until it ends. All that is given must fit, together. */
export interface Measure {
  readonly id: string;
  readonly alert: string;
  readonly kind: 'throttle' | 'step-up' | 'block';
  readonly address?: string;
  readonly network?: string;
  readonly principal?: string;
  readonly credential?: string;
  readonly model?: string;
  /** Milliseconds since 1970 UTC. */
  readonly since: number;
  readonly until: number;
}

export interface ListedAlert extends Alert {
  readonly index: number;
  readonly state: 'open' | 'dismissed';
}

export interface Responses {
  /** What to do about a visitor. Synchronous, and without measures it costs a look at an empty map. */
  verdict(visitor: Visitor): Verdict;
  /** Takes in an entry of the log: alerts set measures, dismissals and lifts end them. Any other is passed over. */
  observe(indexed: IndexedEntry): void;
  /** Newest first. */
  alerts(filter?: { readonly rule?: string; readonly severity?: Severity }): readonly ListedAlert[];
  /** Ends every measure of an alert. Throws `detection.alert_not_found`. */
  dismiss(alert: string): ListedAlert;
  measures(): readonly Measure[];
  /** Ends one measure. Throws `detection.measure_not_found`. */
  lift(measure: string): Measure;
  save(): Uint8Array;
  load(bytes: Uint8Array): void;
}

export const DISMISS = 'detection.dismiss';
export const LIFT = 'detection.lift';

const ALERTS_MAX = 1000;
const MEASURES_MAX = 10_000;

/**
 * All state is made of entries of the log, so that a restart finds it again. `isKnown` spares those whom an address is
 * usual for.
 */
export function createResponses({
  clock,
  isKnown,
  networkOf = byPrefix,
  throttleMs = 2000,
}: {
  readonly clock: Pick<Clock, 'now'>;
  readonly isKnown: (principal: string, address: string, before: number) => boolean;
  readonly networkOf?: NetworkOf;
  /** One request in so many milliseconds passes a throttle. */
  readonly throttleMs?: number;
}): Responses {
  let alerts = new Map<string, ListedAlert>();
  /** By what they fit. */
  let measures = new Map<string, Measure>();
  const passedAt = new Map<string, number>();

  return {
    verdict(visitor) {
      if (measures.size === 0) return 'pass';
      const now = clock.now();
      let slow: Measure | undefined;
      for (const key of keysOf(visitor, networkOf)) {
        const measure = current(key, now);
        if (measure === undefined || isSpared(measure, visitor)) continue;
        const { kind, until, alert } = measure;
        if (kind !== 'throttle') return { kind: 'block', until, alert };
        slow ??= measure;
      }
      return slow === undefined ? 'pass' : throttle(slow, now);
    },
    observe(indexed) {
      const { action, decision, phase, detail } = indexed.entry;
      const alert = alertOf(indexed);
      if (alert !== undefined) {
        if (!alerts.has(alert.id)) take(alert, indexed.index);
      } else if (decision === 'allow' && phase !== 'start') {
        if (action === DISMISS) drop(String(detail?.['alert']));
        else if (action === LIFT) remove((measure) => measure.id === detail?.['measure']);
      }
    },
    alerts: ({ rule, severity } = {}) =>
      [...alerts.values()]
        .filter(
          (alert) =>
            (rule === undefined || alert.rule === rule) &&
            (severity === undefined || alert.severity === severity),
        )
        .toReversed(),
    dismiss(id) {
      const alert = drop(id);
      if (alert === undefined) throw problems.alert_not_found(`there is no alert ${id}`);
      return alert;
    },
    measures: () => [...measures.values()].filter(({ until }) => until > clock.now()),
    lift(id) {
      const found = [...measures.values()].find((each) => each.id === id && each.until > clock.now());
      if (found === undefined) throw problems.measure_not_found(`there is no measure ${id}`);
      remove((each) => each.id === id);
      return found;
    },
    save: () => serialize({ alerts, measures }),
    load(bytes) {
      ({ alerts, measures } = deserialize(bytes) as { alerts: typeof alerts; measures: typeof measures });
    },
  };

  function take(alert: Alert, index: number): void {
    alerts.set(alert.id, { ...alert, index, state: 'open' });
    if (alerts.size > ALERTS_MAX) alerts.delete(alerts.keys().next().value ?? '');
    if (alert.expiresAt <= clock.now()) return;
    for (const [key, measure] of measuresOf(alert)) {
      const before = measures.get(key);
      // A block is not weakened by a later throttle of the same, nor shortened.
      if (before !== undefined && before.until >= measure.until) continue;
      measures.delete(key);
      measures.set(key, measure);
    }
    for (const [key, { until }] of measures) {
      if (measures.size <= MEASURES_MAX && until > clock.now()) break;
      forget(key);
    }
  }

  function drop(id: string): ListedAlert | undefined {
    const alert = alerts.get(id);
    if (alert === undefined) return undefined;
    const dismissed: ListedAlert = { ...alert, state: 'dismissed' };
    alerts.set(id, dismissed);
    remove((measure) => measure.alert === id);
    return dismissed;
  }

  function remove(ends: (measure: Measure) => boolean): void {
    for (const [key, measure] of measures) if (ends(measure)) forget(key);
  }

  function forget(key: string): void {
    measures.delete(key);
    passedAt.delete(key);
  }

  function current(key: string, now: number): Measure | undefined {
    const found = measures.get(key);
    if (found === undefined || found.until > now) return found;
    forget(key);
    return undefined;
  }

  function isSpared({ kind, principal, address, since }: Measure, visitor: Visitor): boolean {
    const { principalId, credentialId } = visitor;
    // A stronger credential is what a step up asks for; and at the usual place none is asked.
    if (kind === 'step-up') {
      if (credentialId !== undefined && !credentialId.startsWith('password:')) return true;
      return principalId !== undefined && isKnown(principalId, visitor.address, since);
    }
    const isWholeAddress = address !== undefined && principal === undefined;
    return isWholeAddress && principalId !== undefined && isKnown(principalId, address, since);
  }

  function throttle(measure: Measure, now: number): Verdict {
    const key = fitOf(measure);
    const waitMs = (passedAt.get(key) ?? Number.NEGATIVE_INFINITY) + throttleMs - now;
    if (waitMs > 0 && waitMs <= throttleMs) return { kind: 'throttle', waitMs, alert: measure.alert };
    passedAt.set(key, now);
    return 'pass';
  }
}

/** What an alert asks for. Names that belong to nobody are left out: nobody comes in by them. */
function measuresOf(alert: Alert): ReadonlyMap<string, Measure> {
  const { key, response, expiresAt, time, principals = [] } = alert;
  const { principal, address, network, credential, model } = key;
  const named = [...(principal === undefined ? [] : [principal]), ...principals].filter(
    (each) => !each.startsWith('?') && each !== '',
  );
  const found = new Map<string, Measure>();
  const add = (measure: Pick<Measure, 'kind'> & Partial<Measure>): void => {
    const id = `${alert.id.replace('alr_', 'msr_')}_${found.size}`;
    const whole = { ...measure, id, alert: alert.id, since: time, until: expiresAt };
    found.set(fitOf(whole), whole);
  };
  const place = address === undefined ? (network === undefined ? undefined : { network }) : { address };
  if (response === 'observe') return found;
  if (response === 'throttle') {
    if (model !== undefined) for (const each of named) add({ kind: 'throttle', principal: each, model });
    else if (principal !== undefined) add({ kind: 'throttle', principal });
    else if (address !== undefined) add({ kind: 'throttle', address });
  } else if (response === 'block-key' && credential !== undefined) {
    add({ kind: 'block', credential });
  } else if (response !== 'step-up' && place !== undefined) {
    for (const each of named) add({ kind: 'block', principal: each, ...place });
    if (alert.wholeAddress === true && address !== undefined) add({ kind: 'block', address });
  } else {
    // Without an address there is no pair: the principal has to prove more wherever it comes from.
    for (const each of named) add({ kind: 'step-up', principal: each });
  }
  return found;
}

/** What a measure fits, as a key. */
function fitOf({
  kind,
  address = '',
  network = '',
  principal = '',
  credential = '',
  model = '',
}: Pick<Measure, 'kind'> & Partial<Measure>): string {
  return [kind, principal, address, network, credential, model].join('\n');
}

/** The keys of all measures that could fit a visitor, the hardest first. */
function keysOf(
  { address, principalId, credentialId, model, isProven = false }: Visitor,
  networkOf: NetworkOf,
): string[] {
  if (model !== undefined)
    return principalId === undefined ? [] : [fitOf({ kind: 'throttle', principal: principalId, model })];
  const keys: string[] = [];
  if (credentialId !== undefined) keys.push(fitOf({ kind: 'block', credential: credentialId }));
  if (principalId !== undefined) {
    const principal = principalId;
    keys.push(fitOf({ kind: 'block', principal, address }));
    keys.push(fitOf({ kind: 'block', principal, network: networkOf(address) }));
    keys.push(fitOf({ kind: 'step-up', principal }));
    if (isProven) keys.push(fitOf({ kind: 'throttle', principal }));
  }
  keys.push(fitOf({ kind: 'block', address }));
  if (!isProven) keys.push(fitOf({ kind: 'throttle', address }));
  return keys;
}
