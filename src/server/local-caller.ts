import { userInfo } from 'node:os';
import type { Caller } from '../kernel/principal.ts';

/** The caller behind the keep's own files: `local:<operating-system user>`. */
export function localCaller(): Caller {
  const { username } = userInfo();
  const id = `local:${username}`;
  return {
    principal: { kind: 'local', id, name: username, groups: [] },
    credential: { kind: 'local', id },
  };
}
