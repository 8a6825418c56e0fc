import {
  createUnwrapper,
  createWrapper,
  isPassphraseSealed,
  type Opening,
  type RecipientKey,
} from './file-key.ts';
import { parseHeader } from './header.ts';
import { POST_QUANTUM_TYPE } from './hybrid.ts';

/** Work on headers alone, without the payloads that they belong to. */

/**
 * A header for other recipients and the same payload: same file key, new stanzas, new MAC. It does not take the file from
 * those who could open it: they may have kept the file key. Throws as opening does, and for recipients as sealing does.
 */
export async function rewrapHeader(
  header: Uint8Array,
  { recipients, ...opening }: Opening & { readonly recipients: readonly RecipientKey[] },
): Promise<Uint8Array> {
  const wrap = createWrapper(recipients);
  const fileKey = await createUnwrapper(opening)(header);
  try {
    return wrap(fileKey);
  } finally {
    fileKey.fill(0);
  }
}

export interface HeaderSummary {
  /** Stanzas by type, in the order of their first. Who the recipients are is not told, except by SSH stanzas. */
  readonly recipients: readonly { readonly type: string; readonly count: number }[];
  readonly count: number;
  readonly passphrase: boolean;
  /** Every recipient is of the post-quantum type. */
  readonly postQuantum: boolean;
}

/** What a header says to anyone. Needs no key and unwraps nothing, so nothing of it is authentic. */
export function inspectHeader(header: Uint8Array): HeaderSummary {
  const { stanzas } = parseHeader(header);
  const counts = new Map<string, number>();
  for (const { type } of stanzas) counts.set(type, (counts.get(type) ?? 0) + 1);
  return {
    recipients: Array.from(counts, ([type, count]) => ({ type, count })),
    count: stanzas.length,
    passphrase: isPassphraseSealed(stanzas),
    postQuantum: stanzas.every(({ type }) => type === POST_QUANTUM_TYPE),
  };
}
