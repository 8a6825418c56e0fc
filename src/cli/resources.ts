import { usage } from './failure.ts';

/**
 * The rows of a list answer: the API answers `{ "users": [ … ] }`, with a cursor beside it where there are pages.
 * An answer without the member is from something that is not a Modelkeep server.
 */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- what the API answers is typed where it is read
export function itemsOf<Row>(answer: unknown, member: string): readonly Row[] {
  const rows =
    typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>)[member] : undefined;
  if (!Array.isArray(rows)) throw new TypeError(`the answer has no list "${member}"`);
  return rows as readonly Row[];
}

/** `project/model`, or `model` in the project `default`; with `@3` or `@staging` one version of it. */
export interface ModelName {
  readonly project: string;
  readonly model: string;
  readonly version: string | undefined;
}

export function parseModelName(text: string): ModelName {
  const match = /^(?:([^/@]+)\/)?([^/@]+)(?:@([^/@]+))?$/.exec(text);
  const model = match?.[2];
  if (model === undefined) {
    throw usage(
      `${text} does not name a model`,
      'write PROJECT/MODEL, or PROJECT/MODEL@VERSION for one version',
    );
  }
  return { project: match?.[1] ?? 'default', model, version: match?.[3] };
}

/** The name of a model as a whole. */
export function withoutVersion(text: string): ModelName {
  const name = parseModelName(text);
  if (name.version !== undefined) throw usage(`${text} names a version; name the model alone`);
  return name;
}

/** A whole number of at least 1. */
export function parseCount(text: string, what: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw usage(`${what} must be a whole number of at least 1, not ${text}`);
  return Number(text);
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** An ISO 8601 time, or a duration (`90m`, `24h`, `7d`) `direction` from `now`; as ISO 8601, UTC. */
export function parseTime(text: string, now: number, direction: 'ago' | 'ahead'): string {
  const duration = /^(\d{1,6})([smhdw])$/.exec(text);
  if (duration !== null) {
    const ms = Number(duration[1]) * (UNITS[duration[2] ?? ''] ?? 0);
    return new Date(direction === 'ago' ? now - ms : now + ms).toISOString();
  }
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (Number.isNaN(time.getTime())) {
    throw usage(`${text} is not a time`, 'write 2026-01-31T12:00:00Z, or a duration such as 24h or 7d');
  }
  return time.toISOString();
}

/** Collects a repeatable option. */
export function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}
