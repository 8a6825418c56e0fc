import type { EntryDraft } from '../src/audit/entry.ts';

/** What a prediction leaves in the log. */
export function eventOf(request: number): EntryDraft {
  return {
    phase: 'single',
    request: `req_01jq${String(request).padStart(22, '0')}`,
    action: 'model.invoke',
    principal: { kind: 'service_account', id: 'sa_01jqv7t2m40000000000000000', name: 'load' },
    credential: { kind: 'api_key', id: 'key_01jqv7t2m50000000000000000' },
    source: { address: '127.0.0.1', port: 40_000 },
    http: { method: 'POST', route: '/predict', status: 200 },
    resource: '/projects/default/models/iris',
    permission: 'model.invoke',
    decision: 'allow',
    reason: 'allowed',
    model: { version: 'ver_01jqv7t2m60000000000000000', digest: '3b'.repeat(32) },
    input: 'a7'.repeat(32),
    output: '5c'.repeat(32),
    latencyUs: 400 + (request % 100),
  };
}
