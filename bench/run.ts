import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { type BenchTable, formatTable } from './table.ts';

/**
 * `npm run bench` runs all, `npm run bench -- NAME …` some; each table goes to stdout and into docs/benchmarks.md. What
 * follows the log is measured with it.
 */
const BENCHES: Readonly<
  Record<string, () => Promise<{ run(): Promise<BenchTable | readonly BenchTable[]> }>>
> = {
  authenticate: () => import('./authenticate.ts'),
  access: () => import('./access.ts'),
  audit: () => import('./audit.ts'),
  crypto: () => import('./crypto.ts'),
  detect: () => import('./detect.ts'),
  search: () => import('./search.ts'),
  predict: () => import('./predict.ts'),
};

const PAGE = join(import.meta.dirname, '..', 'docs', 'benchmarks.md');
const HEAD = `# Benchmarks

Each table is written by the command it names, every row of it measured in the same run. Machines differ and are noisy:
read the ratios, not the figures. Where a table was made on two shared cores, client, server and their neighbours took
turns on them, and ratios themselves vary by a tenth or two from run to run.
`;

const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(
    `modelkeep: error: no bench called ${unknown.join(', ')}; there are: ${Object.keys(BENCHES).join(', ')}`,
  );
  process.exit(2);
}

const asked = names.flatMap((name) => (name === 'audit' ? ['audit', 'detect', 'search'] : [name]));
for (const name of new Set(names.length > 0 ? asked : Object.keys(BENCHES))) {
  const bench = await BENCHES[name]?.();
  if (bench === undefined) continue;
  const tables = await bench.run();
  const text = ('rows' in tables ? [tables] : tables).map(formatTable).join('\n');
  console.log(text);
  await writeFile(PAGE, withSection(await readFile(PAGE, 'utf8').catch(() => ''), name, text));
}

/** `page` with its head and the section of `name` replaced, or added at its end. */
function withSection(page: string, name: string, text: string): string {
  const [open, close] = [`<!-- bench ${name} -->`, `<!-- end ${name} -->`];
  const machine = `${cpus().length} cores, Node ${process.versions.node}; made by \`npm run bench -- ${name}\``;
  const section = `${open}\n## ${name}\n\n${machine}\n\n${text}\n${close}\n`;
  const first = page.indexOf('<!-- bench ');
  const sections = first < 0 ? '' : page.slice(first);
  const start = sections.indexOf(open);
  if (start < 0) return `${HEAD}\n${sections}${sections === '' ? '' : '\n'}${section}`;
  const rest = sections.slice(sections.indexOf(close) + close.length + 1);
  return `${HEAD}\n${sections.slice(0, start)}${section}${rest}`;
}
