import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { recipientOf } from '../../crypto/age/keys.ts';
import { createRootKeyFile } from '../../crypto/root-key/root-key-file.ts';
import { Secret } from '../../kernel/secret.ts';
import { createFakeAccess, runCli } from '../testing.ts';

test('init and root-key show name the root key alike', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
  t.after(() => rm(home, { recursive: true }));
  const access = {
    ...createFakeAccess(() => undefined),
    async initKeep() {
      const identity = await createRootKeyFile(join(home, 'root.key'));
      const recipient = recipientOf(identity.reveal());
      return { home, setupToken: new Secret('mst_example'), recipient, rootKeyCopy: 'root.key' };
    },
  };
  const options = { environment: { MODELKEEP_HOME: home } };
  const made = await runCli(['init', '-o', join(home, 'token')], access, options);
  const shown = await runCli(['root-key', 'show'], access, options);
  const labelled = ({ out }: { out: string }) => /^root key +(\S+)$/m.exec(out)?.[1];
  assert.match(labelled(made) ?? '', /^[0-9a-f]{16}$/);
  assert.equal(labelled(made), labelled(shown));
  assert.doesNotMatch(made.out, /age1/);
  const json = await runCli(['root-key', 'show', '--json'], access, options);
  assert.equal((JSON.parse(json.out) as { id: string }).id, labelled(made));
});
