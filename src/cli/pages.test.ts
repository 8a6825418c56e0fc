import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createFakeAccess, runCli } from './testing.ts';

/** Every command that lists, and the member of the answer that holds its rows. */
const LISTS: Readonly<Record<string, string>> = {
  'users list': 'users',
  'service-accounts list': 'serviceAccounts',
  'api-keys list': 'keys',
  'groups list': 'groups',
  'roles list': 'roles',
  'bindings list': 'bindings',
  'projects list': 'projects',
  'models list': 'models',
  'who-can model.invoke /projects/fraud': 'principals',
};
/** What any row of any list may be asked for. */
const ROW = { createdAt: 0, aliases: {}, parents: [], effective: [], revokedAt: null, expiresAt: null };

describe('a list of several pages', () => {
  let home: string;
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'modelkeep-pages-'));
    await writeFile(join(home, 'keyring.age'), 'age', { mode: 0o600 });
  });
  after(() => rm(home, { recursive: true }));

  for (const [command, member] of Object.entries(LISTS)) {
    it(`is printed whole by ${command}`, async () => {
      const access = createFakeAccess(({ query }) =>
        query?.['after'] === 'first'
          ? { [member]: [{ ...ROW, id: 'second', name: 'second' }] }
          : { [member]: [{ ...ROW, id: 'first', name: 'first' }], next: 'first' },
      );
      const options = { environment: { MODELKEEP_HOME: home } };
      const { code, out, err } = await runCli([...command.split(' '), '--json'], access, options);
      assert.equal(code, 0, err);
      const answer = JSON.parse(out) as Record<string, readonly { id: string }[]>;
      assert.deepEqual(
        answer[member]?.map(({ id }) => id),
        ['first', 'second'],
      );
      assert.equal('next' in answer, false);
    });
  }
});
