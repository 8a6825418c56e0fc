import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isProblem } from '../kernel/problem.ts';
import type { Binding, Role } from './policy.ts';
import { accessProblems } from './problems.ts';
import type { AccessStore } from './store.ts';

const role = (id: string, rest: Partial<Role> = {}): Role => {
  const always = {
    description: 'of a test',
    builtin: false,
    permissions: ['model.*', 'model.read'],
    parents: ['viewer'],
  };
  return { id, name: id.replace('_', '-'), ...always, createdAt: 5, updatedAt: 6, ...rest };
};
const binding = (id: string, rest: Partial<Binding> = {}): Binding => {
  const what = {
    subject: 'usr_a',
    role: 'viewer',
    scope: '/projects/*',
    effect: 'allow',
    reason: 'a test',
  } as const;
  return { id, ...what, notBefore: null, expiresAt: 9, createdBy: 'local:root', createdAt: 1, ...rest };
};

/** Every store passes these. `open` makes an empty one. */
export function testAccessStore(name: string, open: () => Promise<AccessStore>): void {
  test(`${name}: a new store holds an empty policy at revision 1`, async () => {
    const store = await open();
    assert.deepEqual(await store.load(), { revision: 1, roles: [], groups: [], bindings: [] });
    assert.equal(await store.revision(), 1);
  });

  test(`${name}: what was applied is loaded, in the order of ids`, async () => {
    const store = await open();
    const bindings = [binding('bnd_2', { effect: 'deny', notBefore: 3, expiresAt: null }), binding('bnd_1')];
    const revision = await store.apply(1, [
      { kind: 'put_role', role: role('rol_b', { parents: ['rol_a', 'viewer'] }) },
      { kind: 'put_role', role: role('rol_a') },
      { kind: 'add_group', group: { id: 'grp_b', name: 'b', createdAt: 7 } },
      { kind: 'add_group', group: { id: 'grp_a', name: 'a', createdAt: 8 } },
      { kind: 'add_member', group: 'grp_b', member: 'usr_b' },
      { kind: 'add_member', group: 'grp_b', member: 'grp_a' },
      { kind: 'add_member', group: 'grp_b', member: 'usr_b' },
      ...bindings.map((one) => ({ kind: 'add_binding', binding: one }) as const),
    ]);
    assert.equal(revision, 2);
    assert.deepEqual(await store.load(), {
      revision: 2,
      roles: [role('rol_a'), role('rol_b', { parents: ['rol_a', 'viewer'] })],
      groups: [
        { id: 'grp_a', name: 'a', createdAt: 8, members: new Set() },
        { id: 'grp_b', name: 'b', createdAt: 7, members: new Set(['grp_a', 'usr_b']) },
      ],
      bindings: bindings.toReversed(),
    });
  });

  test(`${name}: a role is replaced whole; what is deleted is gone, and deleting it again does nothing`, async () => {
    const store = await open();
    await store.apply(1, [
      { kind: 'put_role', role: role('rol_a') },
      {
        kind: 'put_role',
        role: role('rol_a', { name: 'renamed', permissions: [], parents: [], updatedAt: 7 }),
      },
      { kind: 'put_role', role: role('rol_b') },
      { kind: 'delete_role', id: 'rol_b' },
      { kind: 'add_group', group: { id: 'grp_a', name: 'a', createdAt: 8 } },
      { kind: 'add_group', group: { id: 'grp_b', name: 'b', createdAt: 8 } },
      { kind: 'add_member', group: 'grp_a', member: 'usr_a' },
      { kind: 'add_member', group: 'grp_a', member: 'usr_b' },
      { kind: 'add_member', group: 'grp_b', member: 'usr_b' },
      { kind: 'remove_member', group: 'grp_a', member: 'usr_a' },
      { kind: 'delete_group', id: 'grp_b' },
      { kind: 'add_binding', binding: binding('bnd_1') },
      { kind: 'delete_binding', id: 'bnd_1' },
      { kind: 'delete_binding', id: 'bnd_1' },
    ]);
    const { roles, groups, bindings } = await store.load();
    assert.deepEqual(roles, [role('rol_a', { name: 'renamed', permissions: [], parents: [], updatedAt: 7 })]);
    assert.deepEqual(groups, [{ id: 'grp_a', name: 'a', createdAt: 8, members: new Set(['usr_b']) }]);
    assert.deepEqual(bindings, []);
  });

  test(`${name}: a change planned on an old revision is refused, and nothing of it happens`, async () => {
    const store = await open();
    await store.apply(1, [{ kind: 'add_binding', binding: binding('bnd_1') }]);
    const late = store.apply(1, [{ kind: 'delete_binding', id: 'bnd_1' }]);
    await assert.rejects(late, (error) => isProblem(error, accessProblems.conflict));
    assert.equal(await store.revision(), 2);
    assert.equal((await store.load()).bindings.length, 1);
  });
}
