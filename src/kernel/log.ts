import type { Clock } from './clock.ts';

/** The operator's log: JSON lines with stable event names. It is not the audit log and proves nothing. */
export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | Error>>;

export function createLog({ write, clock }: { write: (line: string) => void; clock: Clock }): Log {
  const at =
    (level: string) =>
    (event: string, fields: LogFields = {}): void => {
      const plain = Object.fromEntries(
        Object.entries(fields).map(([name, value]) => [
          name,
          value instanceof Error ? describe(value) : value,
        ]),
      );
      write(`${JSON.stringify({ time: new Date(clock.now()).toISOString(), level, event, ...plain })}\n`);
    };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}

export const silentLog: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** The chain of causes, without stacks: a stack may quote source lines, and an operator wants the sentence. */
function describe(error: Error): string {
  const parts: string[] = [];
  for (let cause: unknown = error; cause instanceof Error && parts.length < 8; cause = cause.cause) {
    parts.push(`${cause.name}: ${cause.message}`);
  }
  return parts.join(' <- ');
}
