/**
 * Groups texts that are nearly the same: the number of the group for each text. The same mass mail sent to fifty people
 * must not be learnt from and tested on. MinHash over runs of three words (Broder 1997), five bands of four.
 */
export function groupNearDuplicates(texts: readonly string[]): number[] {
  const parents = texts.map((_, index) => index);
  const find = (index: number): number => {
    let top = index;
    while (parents[top] !== top) top = parents[top] as number;
    parents[index] = top;
    return top;
  };
  const firstWith = new Map<string, number>();
  texts.forEach((text, index) => {
    for (const band of bandsOf(text)) {
      const other = firstWith.get(band);
      if (other === undefined) firstWith.set(band, index);
      else parents[find(index)] = find(other);
    }
  });
  return texts.map((_, index) => find(index));
}

const BANDS = 5;
const ROWS = 4;

function bandsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[a-z]{2,}/g) ?? [];
  if (words.length < 3) return [`short ${words.join(' ')}`];
  const minima = new Uint32Array(BANDS * ROWS).fill(0xffffffff);
  for (let at = 0; at + 3 <= words.length; at++) {
    const base = hash(`${words[at]} ${words[at + 1]} ${words[at + 2]}`);
    for (let row = 0; row < minima.length; row++) {
      const mixed = mix(base ^ Math.imul(row + 1, 0x9e3779b1));
      if (mixed < (minima[row] ?? 0)) minima[row] = mixed;
    }
  }
  return Array.from(
    { length: BANDS },
    (_, band) => `${band} ${minima.slice(band * ROWS, (band + 1) * ROWS).join(' ')}`,
  );
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return state >>> 0;
}

function mix(value: number): number {
  let state = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
