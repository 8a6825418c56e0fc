import { existsSync } from 'node:fs';
import { glob, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Every relative link in the documents leads to a file, and every test that THREAT_MODEL.md names exists. */
const root = join(import.meta.dirname, '..');
const broken: string[] = [];
let links = 0;

const pages: string[] = [];
for await (const page of glob(['*.md', 'docs/**/*.md', 'examples/**/*.md'], { cwd: root })) pages.push(page);
for (const page of pages) {
  const text = await readFile(join(root, page), 'utf8');
  for (const [, target] of text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
    links++;
    if (!existsSync(join(root, dirname(page), target ?? ''))) broken.push(`${page}: no file ${target}`);
  }
}

const promises = await readFile(join(root, 'THREAT_MODEL.md'), 'utf8');
const rows = [...promises.matchAll(/^\| .+ \| `([^`]+)`: (.+) \|$/gm)];
for (const [, file, name] of rows) {
  const text = await readFile(join(root, file ?? ''), 'utf8').catch(() => '');
  if (!text.includes(name ?? '')) broken.push(`THREAT_MODEL.md: ${file} has no test "${name}"`);
}

if (links < 10 || rows.length < 15) broken.push(`only ${links} links and ${rows.length} promises were seen`);
for (const line of broken) console.error(`modelkeep: error: ${line}`);
console.log(`${links} links, ${rows.length} promises checked`);
process.exit(broken.length === 0 ? 0 : 1);
