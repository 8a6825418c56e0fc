/**
 * Argon2id hashes in the PHC string format, `$argon2id$v=19$m=19456,t=2,p=1,keyid=MQ$<salt>$<tag>`. `keyid` is the
 * decimal version of the pepper, base64 as the format asks. The associated data (the user's id) is not stored: it is
 * what the hash is bound to, so a hash copied to another row does not verify.
 */
export interface Phc extends Argon2Cost {
  readonly pepperVersion: number;
  readonly salt: Uint8Array;
  readonly tag: Uint8Array;
}

export interface Argon2Cost {
  readonly memoryKib: number;
  readonly passes: number;
  readonly parallelism: number;
}

export function formatPhc(phc: Phc): string {
  const cost = `m=${phc.memoryKib},t=${phc.passes},p=${phc.parallelism}`;
  const keyid = encode(Buffer.from(String(phc.pepperVersion)));
  return `$argon2id$v=19$${cost},keyid=${keyid}$${encode(phc.salt)}$${encode(phc.tag)}`;
}

/**
 * The hash in `text`, or undefined if it is not one in its only spelling. Costs are bounded (256 MiB, 16 passes, 8
 * lanes), so that a tampered row cannot make one login exhaust the machine.
 */
export function parsePhc(text: string): Phc | undefined {
  const match = TEXT.exec(text);
  if (match === null) return undefined;
  const [, m = '', t = '', p = '', keyid = '', salt64 = '', tag64 = ''] = match;
  const salt = decode(salt64);
  const tag = decode(tag64);
  const pepper = decode(keyid)?.toString('latin1') ?? '';
  if (salt === undefined || tag === undefined || !/^[1-9][0-9]{0,7}$/.test(pepper)) return undefined;
  const cost = { memoryKib: Number(m), passes: Number(t), parallelism: Number(p) };
  return isBounded(cost, salt, tag) ? { ...cost, pepperVersion: Number(pepper), salt, tag } : undefined;
}

const TEXT =
  /^\$argon2id\$v=19\$m=([1-9][0-9]{0,6}),t=([1-9][0-9]?),p=([1-8]),keyid=([A-Za-z0-9+/]{1,11})\$([A-Za-z0-9+/]{1,86})\$([A-Za-z0-9+/]{1,86})$/;

function isBounded(cost: Argon2Cost, salt: Uint8Array, tag: Uint8Array): boolean {
  return (
    cost.memoryKib >= 8 * cost.parallelism &&
    cost.memoryKib <= 262_144 &&
    cost.passes <= 16 &&
    salt.length >= 8 &&
    salt.length <= 64 &&
    tag.length >= 16 &&
    tag.length <= 64
  );
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64').replaceAll('=', '');
}

/** Node's decoder forgives; only the canonical unpadded text of some bytes passes here. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return encode(bytes) === text ? bytes : undefined;
}
