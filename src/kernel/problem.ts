/**
 * A failure that a caller may read: RFC 9457 problem details with a stable code. `detail` and `members` are public;
 * `cause` is for the operator's log and never leaves the server.
 */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly code: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly members: Readonly<Record<string, ProblemMember>>;
  /** Response headers that belong to the failure: `retry-after`, `www-authenticate`. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    definition: Pick<ProblemDefinition, 'code' | 'status' | 'title'>,
    detail: string,
    options: ProblemOptions = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = definition.code;
    this.status = definition.status;
    this.title = definition.title;
    this.detail = detail;
    this.members = options.members ?? {};
    this.headers = options.headers ?? {};
  }

  /** The public form, as sent in `application/problem+json`. */
  toJSON(): ProblemDocument {
    return {
      type: `/problems/${this.code}`,
      title: this.title,
      status: this.status,
      detail: this.detail,
      code: this.code,
      ...this.members,
    };
  }
}

export type ProblemMember = string | number | boolean | readonly string[];

export interface ProblemOptions {
  readonly cause?: unknown;
  readonly members?: Readonly<Record<string, ProblemMember>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly [member: string]: ProblemMember;
}

/** One row of a room's table of failures. Calling it makes the Problem. */
export interface ProblemDefinition {
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  readonly title: string;
  /** What it means and what to do, for `/problems/<code>` and the reference page. */
  readonly help: string;
  (detail: string, options?: ProblemOptions): Problem;
}

interface ProblemRow {
  readonly status: number;
  readonly title: string;
  readonly help: string;
}

/**
 * A room's table of failures: `defineProblems('audit', { log_corrupt: { status: 500, … } })` gives
 * `problems.log_corrupt('entry 12 …')` with the code `audit.log_corrupt`.
 */
export function defineProblems<Name extends string>(
  room: string,
  rows: Readonly<Record<Name, ProblemRow>>,
): Readonly<Record<Name, ProblemDefinition>> {
  const table: Partial<Record<Name, ProblemDefinition>> = {};
  for (const name of Object.keys(rows) as Name[]) {
    const row = { ...rows[name], code: `${room}.${name}` };
    const make = (detail: string, options?: ProblemOptions): Problem => new Problem(row, detail, options);
    table[name] = Object.freeze(Object.assign(make, row));
  }
  return Object.freeze(table) as Readonly<Record<Name, ProblemDefinition>>;
}

/** Claims that `error` is the problem that `definition` makes. */
export function isProblem(error: unknown, definition?: ProblemDefinition): error is Problem {
  return error instanceof Problem && (definition === undefined || error.code === definition.code);
}
