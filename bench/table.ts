/** What a benchmark reports. Ratios within one table are meant; absolute figures belong to the machine that ran it. */
export interface BenchTable {
  readonly name: string;
  /** What was measured, how, and what was left out and why. */
  readonly note: string;
  readonly columns: string[];
  readonly rows: string[][];
}

/** The table as Markdown, under a heading of its name. The first column is text, the others are figures. */
export function formatTable({ name, note, columns, rows }: BenchTable): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = columns.map((_, at) => (at === 0 ? '---' : '---:'));
  return [`### ${name}`, '', note, '', line(columns), line(rule), ...rows.map(line), ''].join('\n');
}
