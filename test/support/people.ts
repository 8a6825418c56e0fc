import type { TemporaryHouse } from './temporary-house.ts';

export const PASSWORD = 'correct horse battery staple 9';

/** Makes a user with `PASSWORD` and, if named, a role in the default project or at `scope`. */
export async function addUser(
  { client }: Pick<TemporaryHouse, 'client'>,
  name: string,
  role?: string,
  scope = '/projects/default',
): Promise<void> {
  await client.request({ method: 'POST', path: '/api/v1/users', body: { name } });
  await client.request({
    method: 'PUT',
    path: `/api/v1/users/${name}/password`,
    body: { password: PASSWORD },
  });
  if (role === undefined) return;
  await client.request({
    method: 'POST',
    path: '/api/v1/bindings',
    body: { subject: `user:${name}`, role, scope },
  });
}

export function basic(name: string, password = PASSWORD): { authorization: string } {
  return { authorization: `Basic ${btoa(`${name}:${password}`)}` };
}
