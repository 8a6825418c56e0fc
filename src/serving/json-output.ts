import { writeElements } from './elements.ts';
import { servingProblems } from './problems.ts';
import type { Tensor } from './tensors.ts';

/** JSON text of each element; throws `serving.unusable_output` on NaN and infinities. */
export function elementTexts({ name, type, data }: Tensor): readonly string[] {
  const texts = writeElements(type, data);
  if (texts === undefined) {
    throw servingProblems.unusable_output(
      `output "${name}" holds NaN or an infinity, which JSON cannot carry`,
    );
  }
  return texts;
}

/** The JSON text of `tensor` nested by `shape`, which has as many elements; a scalar for an empty shape. */
export function nestedText(tensor: Tensor, shape: readonly number[]): string {
  const texts = elementTexts(tensor);
  let at = 0;
  const write = (depth: number): string => {
    if (depth === shape.length) return texts[at++] ?? 'null';
    return `[${Array.from({ length: shape[depth] ?? 0 }, () => write(depth + 1)).join(',')}]`;
  };
  return write(0);
}
