import type { ZodType } from 'zod';
import { JsonError } from '../kernel/canonical-json.ts';
import type { Problem } from '../kernel/problem.ts';
import { parseStrictJson } from '../kernel/strict-json.ts';
import { httpProblems } from './problems.ts';

const VIOLATIONS_MAX = 50;

/** One part of a request and the schema it must have. */
export interface Part {
  readonly name: 'params' | 'query' | 'body';
  readonly value: unknown;
  readonly schema: ZodType;
}

/** What the schemas made of the parts, in order. Throws one `http.invalid` with every violation of every part. */
export function validate(parts: readonly Part[]): unknown[] {
  const violations: string[] = [];
  const values = parts.map(({ name, value, schema }) => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) {
      const where = [
        name,
        ...issue.path.map((step) => String(step).replaceAll('~', '~0').replaceAll('/', '~1')),
      ];
      violations.push(`/${where.join('/')}: ${issue.message}`);
    }
    return undefined;
  });
  if (violations.length > 0) throw invalid(violations);
  return values;
}

function invalid(violations: readonly string[]): Problem {
  const detail =
    violations.length === 1 ? (violations[0] as string) : `${violations.length} things are wrong.`;
  return httpProblems.invalid(detail, { members: { violations: violations.slice(0, VIOLATIONS_MAX) } });
}

/** Throws `http.malformed_json` with the offset. */
export function parseJsonBody(bytes: Uint8Array, depthMax: number): unknown {
  try {
    return parseStrictJson(bytes, depthMax);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw httpProblems.malformed_json(`The body is refused: ${error.message}.`, {
      members: { offset: error.offset },
    });
  }
}
