import { once } from 'node:events';
import { EXIT, type FailureReport } from './failure.ts';
import type { CliIo } from './io.ts';
import { printable, renderFacts, renderTable, type Column } from './table.ts';

/** Results to stdout as text for people or JSON for programs; talk to stderr. */
export interface Output {
  isJson(): boolean;
  /** The answer of the API as it came, or a table of its items. `none` is said when there are none. */
  list<Row>(answer: unknown, rows: readonly Row[], columns: readonly Column<Row>[], none: string): void;
  facts(answer: unknown, facts: Parameters<typeof renderFacts>[0]): void;
  /** `text` is a whole answer for people, line ends included. */
  text(answer: unknown, text: string): void;
  /** Nothing but a confirmation for people; JSON for programs. */
  done(answer: unknown, sentence: string): void;
  talk(line: string): void;
  hint(line: string): void;
  fail(report: FailureReport): void;
  /** Bytes to stdout, at the reader's pace. */
  bytes(chunks: AsyncIterable<Uint8Array>): Promise<void>;
}

export function createOutput(
  io: Pick<CliIo, 'stdout' | 'stderr' | 'stdoutIsTerminal' | 'columns'>,
  isJson: () => boolean,
): Output {
  const print = (text: string): void => void io.stdout.write(text);
  const talk = (text: string): void => void io.stderr.write(text);
  const text = (answer: unknown, forPeople: string): void =>
    print(isJson() ? `${JSON.stringify(answer ?? null, undefined, 2)}\n` : forPeople);
  return {
    isJson,
    list(answer, rows, columns, none) {
      text(answer, rows.length === 0 ? '' : renderTable(columns, rows, io.columns));
      if (rows.length === 0 && !isJson()) talk(`${none}\n`);
    },
    facts: (answer, facts) => text(answer, renderFacts(facts)),
    text,
    done(answer, sentence) {
      if (isJson()) text(answer, '');
      else talk(`${sentence}\n`);
    },
    talk: (line) => talk(`${line}\n`),
    hint: (line) => talk(`modelkeep: hint: ${line}\n`),
    fail({ message, hint, code, exitCode }) {
      const named = code === undefined ? '' : ` (${code})`;
      talk(`modelkeep: error: ${exitCode === EXIT.denied ? 'denied: ' : ''}${lines(message)}${named}\n`);
      if (hint !== undefined) talk(`modelkeep: hint: ${lines(hint)}\n`);
    },
    async bytes(chunks) {
      for await (const chunk of chunks) if (!io.stdout.write(chunk)) await once(io.stdout, 'drain');
    },
  };
}

/** Line by line: what a server sends is not to steer the terminal. */
function lines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}
