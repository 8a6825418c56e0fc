import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderProblemsReference } from '../src/server/problem-tables.ts';

await writeFile(
  join(import.meta.dirname, '..', 'docs', 'reference', 'problems.md'),
  renderProblemsReference(),
);
