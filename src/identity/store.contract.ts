import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isProblem } from '../kernel/problem.ts';
import { identityProblems } from './problems.ts';
import type { ApiKeyRecord, PrincipalRecord } from './record.ts';
import type { IdentityStore } from './store.ts';

/** What every implementation of the store must do. */
export function identityStoreContract(name: string, open: () => Promise<IdentityStore>): void {
  describe(name, () => {
    test('gives back principals and keys as they were stored', async () => {
      const store = await open();
      await store.insertPrincipal(ada);
      await store.insertPrincipal(robot);
      await store.insertKey(key);
      const content = await store.load();
      assert.deepEqual(
        content.principals.toSorted((a, b) => (a.id < b.id ? 1 : -1)),
        [ada, robot],
      );
      assert.equal(content.keys.length, 1);
      assert.deepEqual({ ...content.keys[0], mac: null }, { ...key, mac: null });
      assert.deepEqual(Buffer.from(content.keys[0]?.mac ?? []), Buffer.from(key.mac));
    });

    test('a name is unique within its kind, not across kinds', async () => {
      const store = await open();
      await store.insertPrincipal(ada);
      await store.insertPrincipal({ ...robot, name: ada.name });
      await assert.rejects(store.insertPrincipal({ ...ada, id: 'usr_2' }), (error) =>
        isProblem(error, identityProblems.name_taken),
      );
    });

    test('disabling revokes the unrevoked keys of that principal alone, in the same change', async () => {
      const store = await open();
      await store.insertPrincipal(ada);
      await store.insertPrincipal(robot);
      await store.insertKey(key);
      await store.insertKey(numbered(2, { revokedAt: 5 }));
      await store.insertKey(numbered(3, { ownerId: robot.id }));
      await store.updatePrincipal({ ...ada, state: 'disabled', credentialVersion: 2, updatedAt: 9 }, 9);
      const { principals, keys } = await store.load();
      const after = principals.find((record) => record.id === ada.id);
      assert.deepEqual(after, { ...ada, state: 'disabled', credentialVersion: 2, updatedAt: 9 });
      const times = Object.fromEntries(keys.map((each) => [each.id, each.revokedAt]));
      assert.deepEqual(times, { [key.id]: 9, key_2: 5, key_3: null });
    });

    test('an update of a principal that is not there adds none', async () => {
      const store = await open();
      await store.updatePrincipal(ada);
      assert.deepEqual((await store.load()).principals, []);
    });

    test('deleting a principal deletes its keys and no others', async () => {
      const store = await open();
      await store.insertPrincipal(ada);
      await store.insertPrincipal(robot);
      await store.insertKey(key);
      await store.insertKey(numbered(3, { ownerId: robot.id }));
      await store.deletePrincipal(ada.id);
      const { principals, keys } = await store.load();
      assert.deepEqual(principals, [robot]);
      assert.deepEqual(
        keys.map((each) => each.id),
        ['key_3'],
      );
    });

    test('a hash is replaced only where it is still the old one', async () => {
      const store = await open();
      await store.insertPrincipal(ada);
      assert.equal(await store.replaceHash(ada.id, 'another', 'new'), false);
      assert.equal(await store.replaceHash(ada.id, 'hash', 'new'), true);
      assert.equal((await store.load()).principals[0]?.password, 'new');
    });

    test('the first revocation of a key stands', async () => {
      const store = await open();
      await store.insertKey(key);
      await store.revokeKey(key.id, 7);
      await store.revokeKey(key.id, 8);
      await store.revokeKey('key_none', 8);
      assert.equal((await store.load()).keys[0]?.revokedAt, 7);
    });

    test('a MAC is replaced only where the version is still the one it was read with', async () => {
      const store = await open();
      await store.insertKey(key);
      const to = { mac: new Uint8Array([9]), macKeyVersion: 2 };
      assert.equal(await store.replaceMac(key.id, 7, to), false);
      assert.equal(await store.replaceMac('key_none', key.macKeyVersion, to), false);
      assert.equal(await store.replaceMac(key.id, key.macKeyVersion, to), true);
      const [stored] = (await store.load()).keys;
      assert.deepEqual([[...(stored?.mac ?? [])], stored?.macKeyVersion], [[9], 2]);
    });

    test('times of last use are written for the keys that exist', async () => {
      const store = await open();
      await store.insertKey(key);
      await store.touchKeys(
        new Map([
          [key.id, 42],
          ['key_gone', 43],
        ]),
      );
      assert.deepEqual(
        (await store.load()).keys.map((each) => each.lastUsedAt),
        [42],
      );
    });

    test('a setup token opens once, before it expires, and only while no user exists', async () => {
      const store = await open();
      const token = { digest: new Uint8Array([1, 2, 3]), createdAt: 0, expiresAt: 100 };
      await store.replaceSetupToken(token);
      assert.equal(await store.isSetupTokenOpen(token.digest, 99), true);
      assert.equal(await store.isSetupTokenOpen(token.digest, 100), false);
      assert.equal(await store.isSetupTokenOpen(new Uint8Array([1, 2, 4]), 1), false);
      assert.equal(await store.completeSetup(token.digest, 100, ada), false);
      assert.equal(await store.completeSetup(token.digest, 50, ada), true);
      assert.equal(await store.isSetupTokenOpen(token.digest, 50), false);
      assert.equal(await store.completeSetup(token.digest, 50, { ...ada, id: 'usr_2', name: 'eve' }), false);
      assert.deepEqual((await store.load()).principals, [ada]);
    });

    test('a setup that is taken back leaves no user and an open token', async () => {
      const store = await open();
      const digest = new Uint8Array([9]);
      await store.replaceSetupToken({ digest, createdAt: 0, expiresAt: 100 });
      await store.completeSetup(digest, 1, ada);
      await store.undoSetup(digest, ada.id);
      assert.deepEqual((await store.load()).principals, []);
      assert.equal(await store.isSetupTokenOpen(digest, 1), true);
    });

    test('a new setup token ends the one before', async () => {
      const store = await open();
      const [first, second] = [new Uint8Array([1]), new Uint8Array([2])];
      await store.replaceSetupToken({ digest: first, createdAt: 0, expiresAt: 100 });
      await store.replaceSetupToken({ digest: second, createdAt: 0, expiresAt: 100 });
      assert.equal(await store.isSetupTokenOpen(first, 1), false);
      assert.equal(await store.isSetupTokenOpen(second, 1), true);
    });
  });
}

const ada: PrincipalRecord = {
  id: 'usr_1',
  kind: 'user',
  name: 'ada',
  display: 'Ada Lovelace',
  state: 'active',
  password: 'hash',
  credentialVersion: 1,
  createdAt: 1,
  updatedAt: 1,
};
const robot: PrincipalRecord = { ...ada, id: 'sa_1', kind: 'service_account', name: 'robot', password: null };
const key: ApiKeyRecord = {
  id: 'key_1',
  publicId: 'AAAAAAAAA1',
  mac: new Uint8Array(32).fill(1),
  macKeyVersion: 1,
  ownerId: ada.id,
  label: 'laptop',
  scopes: [{ permission: 'model.invoke', scope: '/projects/fraud' }],
  createdAt: 1,
  createdBy: ada.id,
  notBefore: 1,
  expiresAt: 100,
  revokedAt: null,
  lastUsedAt: null,
};

function numbered(n: number, changes: Partial<ApiKeyRecord>): ApiKeyRecord {
  return {
    ...key,
    id: `key_${n}`,
    publicId: `AAAAAAAAA${n}`,
    mac: new Uint8Array(32).fill(n),
    scopes: null,
    ...changes,
  };
}
