import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Secret } from '../../kernel/secret.ts';
import { commandWords, pasteableCommands } from './pasteable.ts';

const cast = {
  ada: { name: 'ada', password: new Secret('one-two') },
  checkout: { name: 'checkout', key: new Secret('mk_key') },
};

/** The words that a shell makes of a command. */
function wordsOf(command: string): readonly string[] {
  return execFileSync('sh', ['-c', `printf '%s\\n' ${command}`], {
    encoding: 'utf8',
  })
    .trimEnd()
    .split('\n');
}

describe('what the demo prints to paste', () => {
  it('reaches a shell as it is meant, whatever the directory is called', () => {
    const home = "/srv/it's a keep";
    const commands = pasteableCommands({ base: 'http://127.0.0.1:1', home, cast, command: 'npx modelkeep' });
    const [password, key, log] = commands.map(([, command]) => wordsOf(command));
    assert.deepEqual(password?.slice(0, 4), ['curl', '-u', 'ada:one-two', 'http://127.0.0.1:1/predict']);
    assert.equal(password?.at(-1), '{"value": 3}');
    assert.deepEqual(key, [
      'curl',
      '-H',
      'authorization: Bearer mk_key',
      'http://127.0.0.1:1/v2/models/iris',
    ]);
    assert.deepEqual(log, ['npx', 'modelkeep', '--home', home, 'audit', 'search']);
  });

  it('calls the program as the directory that it runs from can', () => {
    assert.equal(commandWords('file:///checkout/src/server/keep-access.ts'), 'npm run -s modelkeep --');
    assert.equal(commandWords('file:///node_modules/modelkeep/dist/server/keep-access.js'), 'npx modelkeep');
  });
});
