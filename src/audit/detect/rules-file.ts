import { readFile } from 'node:fs/promises';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { isProblem } from '../../kernel/problem.ts';
import { RESPONSES, SEVERITIES } from './alert.ts';
import type { ConfiguredRule } from './detector.ts';
import { detectionProblems } from './problems.ts';
import type { AnyRule } from './rule.ts';
import { RULES } from './rules/table.ts';

/** Every rule with its defaults. */
export function defaultRules(): readonly ConfiguredRule[] {
  return RULES.map((rule) => configure(rule, {}));
}

/**
 * The rules as a YAML text sets them:
 *
 *     rules:
 *       A1: { failures: 30, window: 10m }
 *       D1: { enabled: false }
 *
 * What it does not name keeps its default. Throws `detection.rules_invalid` with every complaint: an unknown rule or
 * setting, a value out of range, anything that is not plain YAML.
 */
export function parseRules(text: string): readonly ConfiguredRule[] {
  const document = parseDocument(text, { schema: 'core', merge: false, prettyErrors: false });
  const complaints = [...document.errors, ...document.warnings].map(({ code }) => code.toLowerCase());
  if (complaints.length > 0) throw refuse(complaints);
  let value: unknown;
  try {
    // Aliases stay unexpanded: a small file must not grow into a large one.
    value = document.toJS({ maxAliasCount: 0 }) ?? {};
  } catch {
    throw refuse(['aliases are not expanded here']);
  }
  const file = FILE.safeParse(value);
  if (!file.success) throw refuse(file.error.issues.map(issueText));
  const given = file.data.rules ?? {};
  const known = new Set(RULES.map(({ id }) => id));
  const unknown = Object.keys(given).filter((id) => !known.has(id));
  if (unknown.length > 0) throw refuse(unknown.map((id) => `there is no rule ${id}`));
  const wrong: string[] = [];
  const configured = RULES.map((rule) => {
    try {
      return configure(rule, given[rule.id] ?? {});
    } catch (error) {
      if (!(error instanceof z.ZodError)) throw error;
      wrong.push(...error.issues.map((issue) => `${rule.id}: ${issueText(issue)}`));
      return configure(rule, {});
    }
  });
  if (wrong.length > 0) throw refuse(wrong);
  return configured;
}

/** The rules of the YAML file at `path`. Throws `detection.rules_unreadable`, and what `parseRules` throws, with the path. */
export async function readRules(path: string): Promise<readonly ConfiguredRule[]> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw detectionProblems.rules_unreadable(`cannot read ${path}`, { cause });
  });
  try {
    return parseRules(text);
  } catch (error) {
    if (!isProblem(error, detectionProblems.rules_invalid)) throw error;
    const { detail, members } = error;
    throw detectionProblems.rules_invalid(`${path}: ${detail}`, { members });
  }
}

const FILE = z.strictObject({ rules: z.record(z.string(), z.record(z.string(), z.unknown())).nullish() });

const DURATION = /^([1-9]\d{0,5})(s|m|h|d)$/;
const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const DURATION_MAX = 30 * 86_400_000;

const duration = z.string().transform((text, ctx) => {
  const [, number, unit = ''] = DURATION.exec(text) ?? [];
  const ms = Number(number) * (UNITS[unit] ?? Number.NaN);
  if (ms <= DURATION_MAX) return ms;
  ctx.addIssue({ code: 'custom', message: 'write a duration such as 30s, 15m, 2h or 7d, of 30d at most' });
  return z.NEVER;
});

const COMMON = z.strictObject({
  enabled: z.boolean().default(true),
  severity: z.enum(SEVERITIES).optional(),
  response: z.enum(RESPONSES).optional(),
  window: duration.optional(),
  hold: duration.optional(),
});
const COMMON_NAMES: ReadonlySet<string> = new Set(Object.keys(COMMON.shape));

function configure(rule: AnyRule, given: Readonly<Record<string, unknown>>): ConfiguredRule {
  const rows = Object.entries(given);
  const common = COMMON.parse(Object.fromEntries(rows.filter(([name]) => COMMON_NAMES.has(name))));
  const params = rule.params.parse(Object.fromEntries(rows.filter(([name]) => !COMMON_NAMES.has(name))));
  const { defaults } = rule;
  return {
    rule,
    settings: {
      enabled: common.enabled,
      severity: common.severity ?? defaults.severity,
      response: common.response ?? defaults.response,
      windowMs: common.window ?? defaults.windowMs,
      holdMs: common.hold ?? defaults.holdMs,
      params,
    },
  };
}

function issueText({ path, message }: z.core.$ZodIssue): string {
  const where = path.join('.');
  const text = message.charAt(0).toLowerCase() + message.slice(1);
  return where === '' ? text : `${where}: ${text}`;
}

function refuse(violations: readonly string[]): Error {
  return detectionProblems.rules_invalid(violations.join('; '), { members: { violations } });
}

/** What a rule says, with its settings in place of `{setting}`. */
export function fillIn(text: string, { settings }: ConfiguredRule, mark = ''): string {
  const params = settings.params as Readonly<Record<string, unknown>>;
  return text.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    if (name === 'window') return renderDuration(settings.windowMs);
    const value = params[name];
    return typeof value === 'number' ? String(value) : `${mark}${name}${mark}`;
  });
}

/** `10m` */
export function renderDuration(ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find((each) => ms % (UNITS[each] as number) === 0) ?? 's';
  return `${ms / (UNITS[unit] as number)}${unit}`;
}
