import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { isProblem } from '../../kernel/problem.ts';
import { parsePolicy } from './policy.ts';
import { witnessProblems } from './problems.ts';
import { cosignerOf, signerOf } from './testing.ts';

const keys = ['X1', 'X2', 'X3', 'Y1', 'Y2', 'Y3'].map(
  (name) => [name, cosignerOf(`${name}.test`).vkey] as const,
);
const [[, x1] = ['', ''], [, x2] = ['', '']] = keys;
const logKey = signerOf('keep.test/audit').vkey;
const parse = (text: string) => parsePolicy(Buffer.from(text));
const refusal = (message: RegExp) => (error: unknown) => {
  assert.ok(isProblem(error, witnessProblems.witness_policy), String(error));
  assert.match(error.detail, message);
  return true;
};

describe('a witness policy', () => {
  it('decides as the example of the specification says', () => {
    const policy = parse(
      [
        '# two organisations',
        `log ${logKey}`,
        '',
        ...keys.slice(0, 3).map(([name, vkey]) => `witness ${name} ${vkey}`),
        'group X-witnesses 2 X1 X2 X3',
        ...keys.slice(3).map(([name, vkey]) => `\twitness  ${name}\t${vkey} https://${name}.test/ `),
        'group Y-witnesses any Y1 Y2 Y3',
        'group X-and-Y all X-witnesses Y-witnesses',
        'quorum X-and-Y',
        '',
      ].join('\n'),
    );
    assert.equal(policy.logs[0]?.vkey, logKey);
    assert.deepEqual(policy.witnesses.map(({ name, url }) => [name, url]).slice(2, 4), [
      ['X3', undefined],
      ['Y1', 'https://y1.test'],
    ]);
    fc.assert(
      fc.property(fc.subarray(keys.map(([name]) => name)), (cosigned) => {
        const of = (letter: string) => cosigned.filter((name) => name.startsWith(letter)).length;
        assert.equal(policy.hasQuorum(new Set(cosigned)), of('X') >= 2 && of('Y') >= 1);
      }),
    );
  });

  it('may ask for one witness, or for none', () => {
    const one = parse(`witness w ${x1}\nquorum w\n`);
    assert.deepEqual([one.hasQuorum(new Set(['w'])), one.hasQuorum(new Set(['v']))], [true, false]);
    assert.equal(parse('quorum none\n').hasQuorum(new Set()), true);
  });

  it('takes names as octets, whatever their encoding', () => {
    const name = Buffer.from([0xe9, 0xff]);
    const policy = parsePolicy(
      Buffer.concat([Buffer.from('witness '), name, Buffer.from(` ${x1}\nquorum `), name, Buffer.from('\n')]),
    );
    assert.equal(policy.witnesses.length, 1);
  });

  it('is refused with the number of the first line that is wrong', () => {
    const w = `witness w ${x1}\n`;
    for (const [text, message] of [
      ['', /no quorum/],
      [w, /line 1: there is no quorum/],
      [`${w}quorum w`, /line 2: the last line does not end/],
      [`${w}quorum w\nquorum w\n`, /line 3: there is a quorum line already/],
      [`quorum w\n${w}`, /line 1: a quorum names/],
      [`${w}quorum w x\n`, /line 2/],
      [`${w}witness w ${x2}\nquorum w\n`, /line 2: "w" is defined already/],
      [`${w}witness v ${x1}\nquorum w\n`, /line 2: another witness has the same key/],
      [`witness none ${x1}\nquorum none\n`, /line 1: this name/],
      [`witness w ${logKey}\nquorum w\n`, /line 1: this is not the verifier key of a witness/],
      [`log ${x1}\nquorum none\n`, /line 1: this is not the verifier key of a log/],
      [`log ${logKey}\nlog ${logKey}\nquorum none\n`, /line 2: another log/],
      [`witness w ${x1.slice(0, -4)}\nquorum w\n`, /line 1/],
      [`witness w ${x1} ftp://w.test\nquorum w\n`, /line 1: the address/],
      [`witness w ${x1} https://a:b@w.test\nquorum w\n`, /line 1: the address/],
      [`witness w ${x1} https://w.test/?q\nquorum w\n`, /line 1: the address/],
      [`${w}group g 0 w\nquorum g\n`, /line 2: a threshold/],
      [`${w}group g 2 w\nquorum g\n`, /line 2: a threshold/],
      [`${w}group g 01 w\nquorum g\n`, /line 2: a threshold/],
      [`${w}group g some w\nquorum g\n`, /line 2: a threshold/],
      [`${w}group g any\nquorum g\n`, /line 2: a group/],
      [`${w}group g any w w\nquorum g\n`, /line 2: "w" is a member already/],
      [`${w}group g any w\ngroup h any w\nquorum g\n`, /line 3: "w" is a member already/],
      [`${w}group g any h\ngroup h any w\nquorum g\n`, /line 2: "h" is not defined/],
      [`${w}group g any none\nquorum g\n`, /line 2: "none" is not defined/],
      [`${w}group w any w\nquorum w\n`, /line 2: "w" is defined already/],
      [`${w}quorum w\r\n`, /line 2: it holds a control character/],
      [`${w}quorum w\nwitnesses\n`, /line 3: it does not begin/],
    ] as const) {
      assert.throws(() => parse(text), refusal(message), text);
    }
  });

  it('is refused or read, and never anything else, whatever the octets', () => {
    const word = fc.constantFrom(
      'witness',
      'group',
      'quorum',
      'log',
      'w',
      'g',
      'none',
      'any',
      '1',
      x1,
      x2,
      logKey,
      '#',
      ' ',
    );
    const line = fc.array(word, { maxLength: 5 }).map((words) => words.join(' '));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.array(line).map((lines) => Buffer.from(`${lines.join('\n')}\n`)),
        ),
        (bytes) => {
          try {
            parsePolicy(bytes);
          } catch (error) {
            assert.ok(isProblem(error, witnessProblems.witness_policy), String(error));
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
