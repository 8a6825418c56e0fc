import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defineProblems, isProblem, Problem } from './problem.ts';

const problems = defineProblems('test', {
  broken: { status: 500, title: 'It broke', help: 'Mend it.' },
  missing: { status: 404, title: 'It is missing', help: 'Make it.' },
});

describe('a problem', () => {
  it('has the code, status and title of its definition and the detail of its occasion', () => {
    const problem = problems.missing('No such thing.', { members: { thing: 'x' } });
    assert.ok(problem instanceof Problem);
    assert.deepEqual(problem.toJSON(), {
      type: '/problems/test.missing',
      title: 'It is missing',
      status: 404,
      detail: 'No such thing.',
      code: 'test.missing',
      thing: 'x',
    });
  });

  it('keeps its cause and headers out of its public form', () => {
    const cause = new Error('hunter2');
    const problem = problems.broken('It broke.', { cause, headers: { 'retry-after': '5' } });
    assert.equal(problem.cause, cause);
    assert.deepEqual(problem.headers, { 'retry-after': '5' });
    assert.ok(
      !JSON.stringify(problem).includes('hunter2') && !JSON.stringify(problem).includes('retry-after'),
    );
    assert.ok(!Object.hasOwn(problems.broken('no cause'), 'cause'));
  });

  it('is told apart by its definition', () => {
    const problem = problems.broken('It broke.');
    assert.ok(isProblem(problem) && isProblem(problem, problems.broken));
    assert.ok(!isProblem(problem, problems.missing));
    assert.ok(!isProblem(new Error('It broke.')) && !isProblem(undefined));
  });
});

describe('a table of problems', () => {
  it('cannot be changed', () => {
    assert.ok(Object.isFrozen(problems) && Object.isFrozen(problems.broken));
    assert.equal(problems.broken.code, 'test.broken');
    assert.equal(problems.broken.help, 'Mend it.');
  });
});
