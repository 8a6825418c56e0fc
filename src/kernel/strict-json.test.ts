import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { JsonError } from './canonical-json.ts';
import { parseStrictJson, parseStrictJsonText } from './strict-json.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('parseStrictJson', () => {
  const refusals: readonly (readonly [name: string, text: string, message: RegExp, offset: number])[] = [
    ['an empty text', '', /ends where a value/, 0],
    ['white space only', ' \n', /ends where a value/, 2],
    ['a duplicate key', '{"a":1,"a":2}', /twice/, 7],
    ['a duplicate key spelt with an escape', '{"a":1,"\\u0061":2}', /twice/, 7],
    ['a duplicate key deep inside', '[{"x":{"b":1,"c":2,"b":3}}]', /twice/, 19],
    ['a __proto__ key', '{"__proto__":{}}', /__proto__/, 1],
    ['a __proto__ key spelt with an escape', '{"_\\u005fproto__":1}', /__proto__/, 1],
    ['a __proto__ key beside a duplicate', '{"__proto__":1,"__proto__":2}', /__proto__/, 1],
    ['a lone high surrogate', '["\\ud800"]', /surrogate/, 1],
    ['a lone low surrogate in a key', '{"\\udc00":1}', /surrogate/, 1],
    ['a byte order mark', '\ufeff{}', /byte order mark/, 0],
    ['NaN', '[NaN]', /expected a value/, 1],
    ['Infinity', '[-Infinity]', /expected a value/, 1],
    ['a number out of range', '[1,1e999]', /out of range/, 3],
    ['trailing data', '{} {}', /after the end/, 3],
    ['a trailing comma', '[1,]', /expected a value/, 3],
    ['a missing colon', '{"a" 1}', /a colon/, 5],
    ['a leading zero', '[01]', /a comma/, 2],
    ['single quotes', "{'a':1}", /a key/, 1],
    ['a comment', '[1]// x', /after the end/, 3],
    ['a control character in a string', '["a\tb"]', /control/, 3],
    ['an unknown escape', '["\\x41"]', /escape/, 2],
    ['an unfinished string', '["abc', /end of the string/, 5],
    ['an unfinished array', '[1', /a comma/, 2],
  ];
  for (const [name, text, message, offset] of refusals) {
    it(`refuses ${name} and says where`, () => {
      assert.throws(
        () => parseStrictJson(utf8(text)),
        (error: unknown) => {
          assert.ok(error instanceof JsonError, String(error));
          assert.match(error.message, message);
          assert.equal(error.offset, offset);
          return true;
        },
      );
    });
  }

  it('allows nesting up to the bound and refuses one level more', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    assert.ok(Array.isArray(parseStrictJsonText(nested(64))));
    assert.throws(() => parseStrictJsonText(nested(65)), { message: /nested too deeply at offset 64/ });
    assert.throws(() => parseStrictJsonText('{"a":{"b":[]}}', 2), {
      message: /nested too deeply at offset 10/,
    });
  });

  it('refuses a million brackets quickly instead of overflowing the stack', () => {
    assert.throws(() => parseStrictJsonText('['.repeat(1_000_000)), {
      message: /nested too deeply at offset 64/,
    });
  });

  it('refuses bad UTF-8 at its offset, and takes a real replacement character', () => {
    assert.equal(parseStrictJson(utf8('"\ufffd"')), '\ufffd');
    const bad = new Uint8Array([...utf8('["é\ufffd😀'), 0xff, ...utf8('"]')]);
    assert.throws(() => parseStrictJson(bad), { message: /not valid UTF-8 at offset 6/ });
    // An overlong slash and a UTF-8 encoded surrogate are not UTF-8 either.
    assert.throws(() => parseStrictJson(new Uint8Array([0x22, 0xc0, 0xaf, 0x22])), JsonError);
    assert.throws(() => parseStrictJson(new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])), JsonError);
  });

  it('takes keys that objects inherit, and colons and brackets inside strings', () => {
    const text = '{"constructor":1,"toString":2,"a:b{[\\"":"::{[\\\\","":[]}';
    assert.deepEqual(parseStrictJsonText(text), JSON.parse(text));
    assert.equal(parseStrictJsonText('"\\ud83d\\ude00"'), '😀');
  });

  it('never quotes the text in its message', () => {
    assert.throws(
      () => parseStrictJsonText('{"password": hunter2}'),
      (error: unknown) => error instanceof Error && !error.message.includes('hunter2'),
    );
  });

  it('reads whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value);
        if (text.includes('__proto__')) return;
        assert.deepEqual(parseStrictJson(utf8(text)), JSON.parse(text));
      }),
      { numRuns: 200 },
    );
  });

  it('accepts a mutated text only if JSON.parse does, with the same value', () => {
    const mutation = fc.tuple(
      fc.nat(60),
      fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '\\', '0', 'é'),
    );
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), mutation, (value, [at, insert]) => {
        const whole = JSON.stringify(value);
        const text = whole.slice(0, at) + insert + whole.slice(at + 1);
        let parsed: unknown;
        try {
          parsed = parseStrictJsonText(text);
        } catch (error) {
          assert.ok(error instanceof JsonError);
          assert.ok(error.offset >= 0 && error.offset <= text.length);
          return;
        }
        assert.deepEqual(parsed, JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });
});
