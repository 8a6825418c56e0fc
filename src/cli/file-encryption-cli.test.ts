import assert from 'node:assert/strict';
import test from 'node:test';
import { createCli } from './cli.ts';
import { createEncryptionCli, ENCRYPTION_COMMANDS } from './file-encryption-cli.ts';
import { createTestIo, createFakeAccess } from './testing.ts';

test('the quick command line has the same manuals and the same failures as the whole one', async () => {
  assert.equal(ENCRYPTION_COMMANDS.size, 3);
  for (const name of ENCRYPTION_COMMANDS) {
    for (const args of [
      [name, '--help'],
      [name, '--nowhere'],
      [name, '-i', '/nowhere'],
    ] as string[][]) {
      const [quick, whole] = [createTestIo(), createTestIo()];
      const code = await createEncryptionCli({ io: quick, version: '1.2.3' }).run(args);
      const access = createFakeAccess(() => assert.fail('the keep was asked'));
      assert.equal(await createCli({ access, io: whole, version: '1.2.3' }).run(args), code, args.join(' '));
      assert.equal(quick.out(), whole.out());
      assert.equal(quick.err(), whole.err());
      assert.notEqual(quick.out() + quick.err(), '');
    }
  }
});
