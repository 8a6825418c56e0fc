import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs the demo and puts what it printed into the README's block; a test compares the two. */
const root = join(import.meta.dirname, '..');
const home = join(mkdtempSync(join(tmpdir(), 'modelkeep-readme-')), 'keep');
const printed = execFileSync(process.execPath, [join(root, 'src/main.ts'), 'demo', '--exit'], {
  env: { MODELKEEP_HOME: home },
  encoding: 'utf8',
});
const page = join(root, 'README.md');
const command = '```console\n$ npm install && npm start -- --exit\n';
const text = readFileSync(page, 'utf8');
const start = text.indexOf(command) + command.length;
writeFileSync(
  page,
  text.slice(0, start) + printed.replaceAll(home, './keep-demo') + text.slice(text.indexOf('```', start)),
);
