import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createClientAddress } from './client-address.ts';
import { isHost } from './headers.ts';
import { matchTemplate, parseQuery, parseTarget, parseTemplate } from './target.ts';

describe('parseTarget', () => {
  it('decodes each segment once', () => {
    assert.deepEqual(parseTarget('/a/b%20c/d?x=1?y', 256), { segments: ['a', 'b c', 'd'], query: 'x=1?y' });
    assert.deepEqual(parseTarget('/', 256), { segments: [], query: '' });
    assert.deepEqual(parseTarget('/%C3%A9', 256).segments, ['é']);
    assert.deepEqual(parseTarget('/.well-known/local:root', 256).segments, ['.well-known', 'local:root']);
  });

  const refused = [
    '',
    '*',
    'a/b',
    'http://host/a',
    '/a//b',
    '/a/',
    '//',
    '/.',
    '/a/..',
    '/a/%2e',
    '/a/.%2E/b',
    '/a%2Fb',
    '/a%5cb',
    '/a\\b',
    '/a%00',
    '/a%0a',
    '/a%7f',
    '/a%C2%85',
    '/a#b',
    '/a%23b',
    '/a%3fb',
    '/a%252e',
    '/%',
    '/%4',
    '/%ff',
    '/%c0%ae',
    '/e%CC%81',
    '/a*',
    '/%2a',
    `/${'a'.repeat(257)}`,
  ];
  for (const target of refused) {
    it(`refuses ${JSON.stringify(target.slice(0, 20))} without quoting it`, () => {
      assert.throws(() => parseTarget(target, 256), { code: 'http.bad_path' });
    });
  }
});

describe('parseQuery', () => {
  it('takes each parameter once', () => {
    assert.deepEqual({ ...parseQuery('a=1&b=x+y%26&c&') }, { a: '1', b: 'x y&', c: '' });
    assert.deepEqual(Object.keys(parseQuery('__proto__=1&constructor=2')), ['__proto__', 'constructor']);
    for (const query of ['a=1&a=2', 'a&%61', 'a=%zz', 'a=%ff', 'a=%00']) {
      assert.throws(() => parseQuery(query), { code: 'http.bad_query' }, query);
    }
  });
});

describe('matchTemplate', () => {
  it('gives the parameters of a path that fits, and nothing for any other', () => {
    const template = parseTemplate('/projects/{project}/models/{model}');
    assert.deepEqual(matchTemplate(template, ['projects', 'p', 'models', 'm']), { project: 'p', model: 'm' });
    assert.equal(matchTemplate(template, ['projects', 'p', 'models']), undefined);
    assert.equal(matchTemplate(template, ['projects', 'p', 'data', 'm']), undefined);
    assert.deepEqual(matchTemplate(parseTemplate('/'), []), {});
  });
});

describe('isHost', () => {
  it('takes names, addresses and ports, and nothing that could be read as more', () => {
    for (const host of ['localhost', 'a.example:8750', '127.0.0.1', '[::1]:80', 'my_service', 'x:65535']) {
      assert.ok(isHost(host), host);
    }
    for (const host of [
      '',
      'a b',
      'a/b',
      'a@b',
      'a:b',
      'a:99999',
      'a..b',
      '::1',
      '[::1',
      'a#x',
      'a?x',
      'é',
      'a,b',
      '-a',
    ]) {
      assert.ok(!isHost(host), host);
    }
  });
});

describe('createClientAddress', () => {
  it('ignores x-forwarded-for unless the peer is trusted', () => {
    assert.equal(createClientAddress([])('10.0.0.1', '1.2.3.4'), '10.0.0.1');
    assert.equal(createClientAddress(['10.0.0.2'])('10.0.0.1', '1.2.3.4'), '10.0.0.1');
  });

  it('takes the right-most address that is not a trusted proxy', () => {
    const client = createClientAddress(['10.0.0.0/8', '::1', 'fd00::/8']);
    assert.equal(client('10.0.0.1', '9.9.9.9, 1.2.3.4'), '1.2.3.4');
    assert.equal(client('10.0.0.1', '9.9.9.9, 1.2.3.4, 10.9.9.9'), '1.2.3.4');
    assert.equal(client('::1', '2001:db8::5'), '2001:db8::5');
    assert.equal(client('::ffff:10.0.0.1', '1.2.3.4'), '1.2.3.4');
    assert.equal(client('10.0.0.1', undefined), '10.0.0.1');
    assert.equal(client('10.0.0.1', '1.2.3.4, unknown'), '10.0.0.1');
    assert.equal(client('10.0.0.1', '10.0.0.2'), '10.0.0.2');
  });

  it('refuses what is not an address or a network', () => {
    for (const text of ['proxy', '10.0.0.0/33', '10.0.0/8', '10.0.0.0/8/8', '']) {
      assert.throws(() => createClientAddress([text]), TypeError, text);
    }
  });
});
