import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isPermission, isSensitive, PERMISSIONS, type Permission } from './catalogue.ts';
import { BUILTIN_ROLES } from './roles.ts';

const rightsOf = (name: string): ReadonlySet<string> =>
  new Set(BUILTIN_ROLES.find((role) => role.name === name)?.permissions ?? assert.fail(`no role ${name}`));

test('the built-in roles name each permission of theirs, once', () => {
  const names = [
    'admin',
    'security-officer',
    'ml-engineer',
    'data-scientist',
    'approver',
    'operator',
    'auditor',
    'viewer',
    'consumer',
    'service',
  ];
  assert.deepEqual(
    BUILTIN_ROLES.map((role) => role.name),
    names,
  );
  for (const role of BUILTIN_ROLES) {
    assert.equal(new Set(role.permissions).size, role.permissions.length, `${role.name} names one twice`);
    assert.ok(role.permissions.every(isPermission), role.name);
  }
});

// Who holds what is sensitive is the change under review when this list changes.
test('sensitive permissions are in few hands', () => {
  const holders = (permission: Permission) =>
    BUILTIN_ROLES.filter((role) => role.permissions.includes(permission)).map((role) => role.name);
  assert.deepEqual(
    Object.fromEntries(
      PERMISSIONS.filter(isSensitive).map((permission) => [permission, holders(permission)]),
    ),
    {
      'model.download': ['admin', 'ml-engineer', 'data-scientist'],
      'version.approve': ['admin', 'approver'],
      'version.promote': ['admin', 'ml-engineer', 'approver'],
      'dataset.download': ['admin', 'data-scientist'],
      'secret.reveal': ['security-officer'],
      // Two people's business: no role holds them alone.
      'key.export': [],
      'key.destroy': [],
      'audit.export': ['security-officer', 'auditor'],
      'audit.configure': ['security-officer'],
      'user.delete': ['admin', 'security-officer'],
      'user.impersonate': [],
      'role.escalate': ['admin'],
      'role.bind': ['admin'],
      'policy.apply': ['admin'],
      'provider.manage': ['admin', 'security-officer'],
      'system.configure': ['admin'],
      'system.backup': ['admin'],
      'breakglass.activate': [],
      'breakglass.review': ['security-officer'],
    },
  );
});

test('the small roles are pinned', () => {
  assert.deepEqual([...rightsOf('consumer')], ['model.list', 'model.invoke', 'deployment.invoke']);
  assert.deepEqual([...rightsOf('service')], ['model.invoke', 'deployment.invoke', 'key.use']);
  assert.deepEqual(
    [...rightsOf('viewer')],
    [
      'project.read',
      'project.list',
      'model.read',
      'model.list',
      'version.read',
      'deployment.read',
      'deployment.list',
      'dataset.read',
      'dataset.list',
      'experiment.read',
      'experiment.list',
    ],
  );
});

test('an admin neither calls models nor touches the audit log', () => {
  const admin = rightsOf('admin');
  for (const permission of PERMISSIONS) {
    const forbidden =
      permission.startsWith('audit.') || permission.endsWith('.invoke') || permission === 'secret.reveal';
    if (forbidden) assert.equal(admin.has(permission), false, permission);
  }
});

test('an auditor changes nothing', () => {
  const harmless = new Set([
    'read',
    'list',
    'search',
    'verify',
    'export',
    'explain',
    'read-meta',
    'health',
    'metrics',
  ]);
  for (const permission of rightsOf('auditor'))
    assert.ok(harmless.has(permission.split('.')[1] ?? ''), permission);
});
