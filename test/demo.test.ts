import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { promisify } from 'node:util';

const ROOT = join(import.meta.dirname, '..');
const run = promisify(execFile);

it('the demo serves on, the commands that it prints work as pasted, and a signal ends it well', async (test) => {
  const place = await mkdtemp(join(tmpdir(), 'modelkeep-demo-'));
  test.after(() => rm(place, { recursive: true }));
  const path = `${join(ROOT, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}`;
  const child = spawn(process.execPath, [join(ROOT, 'src', 'main.ts'), 'demo', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: path, MODELKEEP_HOME: join(place, 'a keep') },
  });
  test.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  const commands: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (/^ {3}(curl|npm) /.test(line)) commands.push(line);
    if (line.endsWith('audit search')) break;
  }
  assert.equal(commands.length, 3);
  const answers = await Promise.all(
    commands.slice(0, 2).map((command) => run('bash', ['-c', command], { cwd: ROOT, env: { PATH: path } })),
  );
  assert.equal(answers[0]?.stdout, '{"prediction":"positive"}');
  assert.equal((JSON.parse(answers[1]?.stdout ?? '') as { name: string }).name, 'iris');
  const log = await run('bash', ['-c', commands[2] ?? ''], { cwd: ROOT, env: { PATH: path, HOME: place } });
  assert.match(log.stdout, /checkout +model\.read +allow/);
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
});
