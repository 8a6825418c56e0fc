import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  ancestors,
  covers,
  coveringScopes,
  depthOf,
  isPath,
  overlaps,
  parseScope,
  SCOPE_DEPTH_MAX,
} from './scope.ts';

const BAD = [
  '',
  ' ',
  'projects',
  'projects/fraud',
  '//',
  '//projects',
  '/projects/',
  '/projects//fraud',
  '/projects/..',
  '/..',
  '/projects/./fraud',
  '/projects/fraud%2fmodels',
  '/projects/%2e%2e',
  '/projects/fraud\0',
  '/projects/fra\nud',
  '/projects/fra ud',
  '/Projects/fraud',
  '/projects/Fraud',
  '/projects/-fraud',
  '/projects/fraud-',
  '/projects/_',
  '/projects/fra\\ud',
  '/projects/fräud',
  '/projects/ﬁle',
  '/projects/fra.ud',
  '/projects/f\u202eraud',
  '/?',
  '/a#b',
  `/projects/${'a'.repeat(64)}`,
  '/a'.repeat(SCOPE_DEPTH_MAX + 1),
];
const BAD_WILDCARDS = [
  '*',
  '/**',
  '/projects/fra*',
  '/projects/*d',
  '/projects/*/',
  '/projects/**/models',
  '/*a',
  '/**/a',
];

test('refuses what is not a node in its only spelling, as a path and as a scope', () => {
  for (const text of BAD) {
    assert.equal(isPath(text), false, JSON.stringify(text));
    assert.equal(parseScope(text), undefined, JSON.stringify(text));
  }
});

test('a wildcard is a whole segment of a scope, and never part of a path', () => {
  for (const text of BAD_WILDCARDS) assert.equal(parseScope(text), undefined, text);
  for (const text of ['/*', '/projects/*', '/projects/*/models/score', '/*/*']) {
    assert.equal(parseScope(text), text);
    assert.equal(isPath(text), false, text);
  }
});

test('accepts the nodes of the resource tree', () => {
  const nodes = [
    '/',
    '/projects/fraud/models/score/versions/12',
    '/users/usr_01jd3q6v9s8r7k5m2n4p6x8z0a',
    '/service-accounts/sa_0',
    '/keys/audit',
    `/projects/${'a'.repeat(63)}`,
    '/a'.repeat(SCOPE_DEPTH_MAX),
  ];
  for (const text of nodes) {
    assert.equal(isPath(text), true, text);
    assert.equal(parseScope(text), text);
  }
});

test('a scope covers its node and what lies below, by whole segments', () => {
  const cases: readonly (readonly [scope: string, path: string, covered: boolean])[] = [
    ['/', '/', true],
    ['/', '/projects/fraud', true],
    ['/projects', '/', false],
    ['/projects/my', '/projects/my', true],
    ['/projects/my', '/projects/my/models/a', true],
    ['/projects/my', '/projects/my-secret', false],
    ['/projects/my', '/projects', false],
    ['/projects/*', '/projects', false],
    ['/*', '/', false],
    ['/projects/*', '/projects/fraud', true],
    ['/projects/*/models/score', '/projects/fraud/models/score/versions/1', true],
    ['/projects/*/models/score', '/projects/fraud/models/scored', false],
    ['/projects/*/models/score', '/projects/fraud', false],
    ['/projects/*', '/projects/*/models/score', true],
    ['/projects/fraud', '/projects/*', false],
  ];
  for (const [scope, path, covered] of cases)
    assert.equal(covers(scope, path), covered, `${scope} covers ${path}`);
});

test('scopes overlap if one node can lie in both subtrees', () => {
  assert.equal(overlaps('/projects/*/models/score', '/projects/fraud'), true);
  assert.equal(overlaps('/projects/*/models/score', '/projects/fraud/models/*'), true);
  assert.equal(overlaps('/projects/*/models/score', '/projects/fraud/models/other'), false);
  assert.equal(overlaps('/', '/audit'), true);
  assert.equal(overlaps('/users', '/audit'), false);
});

const segment = fc.constantFrom('a', 'b', 'ab', 'a-b');
const path = fc.array(segment, { maxLength: 5 }).map((segments) => `/${segments.join('/')}`);
const scope = fc
  .array(fc.oneof(segment, fc.constant('*')), { maxLength: 5 })
  .map((segments) => `/${segments.join('/')}`);

test('covering scopes are those that cover, ancestors those without a wildcard', () => {
  fc.assert(
    fc.property(scope, path, (scope, path) => {
      assert.equal(covers(scope, path), coveringScopes(path).includes(scope));
      assert.equal(covers(scope, path) && !scope.includes('*'), ancestors(path).includes(scope));
      assert.equal(ancestors(path).length, depthOf(path) + 1);
    }),
  );
});

test('what two scopes both cover, they overlap in', () => {
  fc.assert(
    fc.property(scope, scope, path, (one, other, path) => {
      assert.equal(overlaps(one, other), overlaps(other, one));
      if (covers(one, path) && covers(other, path)) assert.ok(overlaps(one, other));
      if (covers(one, other)) assert.ok(overlaps(one, other));
    }),
  );
});
