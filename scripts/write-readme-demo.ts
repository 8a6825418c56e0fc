import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs the demo and puts what it printed into the README's block; a test compares the two. */
const root = join(import.meta.dirname, '..');
const scratch = mkdtempSync(join(tmpdir(), 'modelkeep-readme-'));
const home = join(scratch, 'keep');
// A free port, so that a demo which runs already is not in the way; the page shows the one that people get.
const printed = execFileSync(process.execPath, [join(root, 'src/main.ts'), 'demo', '--exit', '--port', '0'], {
  env: { MODELKEEP_HOME: home },
  encoding: 'utf8',
})
  .replaceAll(home, './keep-demo')
  .replace(/(?<=http:\/\/127\.0\.0\.1:)\d+/, '8750');
rmSync(scratch, { recursive: true });
const page = join(root, 'README.md');
const command = '```console\n$ npm install && npm start -- --exit\n';
const text = readFileSync(page, 'utf8');
const start = text.indexOf(command) + command.length;
const end = text.indexOf('```', start);
if (start < command.length || end < 0) throw new Error('the README has no block of the demo');
writeFileSync(page, text.slice(0, start) + printed + text.slice(end));
