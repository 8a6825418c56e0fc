import type { KeepCall, KeepClient } from './keep-client.ts';
import { itemsOf } from './resources.ts';

/** A list as one answer, and its rows. */
export interface Listing<Row> {
  /** As the API answers, with the rows of every page. */
  readonly answer: unknown;
  readonly rows: readonly Row[];
}

/**
 * Every page of a list: a row that is not shown is one that a reviewer does not know of. A page that has more behind it
 * says in `next` what to send as `after`.
 */
export async function listAll<Row>(
  keep: KeepClient,
  member: string,
  { path, query = {} }: Pick<KeepCall, 'path' | 'query'>,
): Promise<Listing<Row>> {
  const rows: Row[] = [];
  for (let after: string | undefined; ; ) {
    const { next, ...answer } = await keep.request<{ readonly next?: string }>({
      method: 'GET',
      path,
      query: { ...query, after },
    });
    rows.push(...itemsOf<Row>(answer, member));
    if (next === undefined) return { answer: { ...answer, [member]: rows }, rows };
    after = next;
  }
}
