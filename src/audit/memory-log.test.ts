import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isProblem } from '../kernel/problem.ts';
import { auditLogContract, draft } from './audit-log.contract.ts';
import { createMemoryAuditLog } from './memory-log.ts';
import { auditProblems } from './problems.ts';

auditLogContract('the audit log in memory', async (clock) => createMemoryAuditLog({ clock }));

it('the audit log in memory fails closed when told to fail', async () => {
  const log = createMemoryAuditLog();
  await log.append(draft());
  log.fail('the disk is full');
  await assert.rejects(log.append(draft()), (error) => isProblem(error, auditProblems.unavailable));
  assert.equal(log.recorded().length, 1);
  assert.equal(log.reason(), 'the disk is full');
});
