import { modelsProblems } from './problems.ts';

const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;

/** Throws `models.name_invalid` unless `name` may name a project, a model or an alias. */
export function assertName(kind: 'project' | 'model' | 'alias', name: string): void {
  if (!NAME.test(name)) {
    throw modelsProblems.name_invalid(
      `the name of ${kind === 'alias' ? 'an alias' : `a ${kind}`} is 1 to 63 lower-case letters, digits, - and _`,
    );
  }
  if (kind === 'alias' && /^\d+$/.test(name)) {
    throw modelsProblems.name_invalid('an alias is not a number alone: numbers name versions');
  }
}
