/** The map from Ed25519 points to Curve25519 (RFC 7748, section 4.1). For public points only: it is not constant time. */

const P = 2n ** 255n - 19n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/** The u-coordinate of a compressed Edwards point, or undefined if the bytes are not a point of the curve. */
export function montgomeryPoint(compressed: Uint8Array): Uint8Array | undefined {
  const littleEndian = Buffer.from(compressed).reverse();
  // The top bit is the sign of x, which u does not depend on.
  littleEndian[0] = (littleEndian[0] as number) & 0x7f;
  const y = BigInt(`0x${littleEndian.toString('hex')}`) % P;
  const ySquared = (y * y) % P;
  const xSquared = mod((ySquared - 1n) * invert(mod(D * ySquared + 1n)));
  if (xSquared !== 0n && power(xSquared, (P - 1n) / 2n) !== 1n) return undefined;
  const u = mod((1n + y) * invert(mod(1n - y)));
  return Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse();
}

/** The inverse by Fermat's little theorem; 0 for 0. */
function invert(value: bigint): bigint {
  return power(value, P - 2n);
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}
