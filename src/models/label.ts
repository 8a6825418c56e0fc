import type { Version } from './version.ts';

/** `fraud/score@3`, as the command line writes it. */
export function labelOf({ project, model, number }: Pick<Version, 'project' | 'model' | 'number'>): string {
  return `${project}/${model}@${number}`;
}
