import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as hostile from '../../../examples/hostile.ts';
import { buildPolarity } from '../../../examples/polarity.ts';
import { inspectOnnx } from './inspect.ts';

const seeds = [buildPolarity(), hostile.endlessLoop(), hostile.externalData(), hostile.deeplyNested(6)];

test('any bytes get a verdict, never an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.match(inspectOnnx(bytes).verdict, /^(?:pass|block)$/);
    }),
    { numRuns: 2000 },
  );
});

test('a model with bytes changed, inserted or removed gets a verdict', () => {
  const mutation = fc.record({
    at: fc.nat(2000),
    byte: fc.nat(255),
    kind: fc.constantFrom('set', 'insert', 'remove'),
  });
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(mutation, { minLength: 1, maxLength: 6 }),
      (seed, mutations) => {
        const bytes = [...seed];
        for (const { at, byte, kind } of mutations) {
          const index = at % bytes.length;
          if (kind === 'set') bytes[index] = byte;
          else bytes.splice(index, kind === 'remove' ? 1 : 0, ...(kind === 'remove' ? [] : [byte]));
        }
        const inspection = inspectOnnx(Uint8Array.from(bytes));
        if (inspection.verdict === 'block') assert.ok(inspection.findings.length > 0);
        else assert.ok(inspection.facts.signature.outputs.length > 0);
      },
    ),
    { numRuns: 3000 },
  );
});

test('no flipped bit gets external data past, but the one that makes it no tensor at all', () => {
  const bytes = hostile.externalData('weights.bin');
  const passed: string[] = [];
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      if (inspectOnnx(changed).verdict === 'pass') passed.push(`${bytes[at]} -> ${changed[at]}`);
    }
  }
  // Field 5 of the graph (an initializer) becomes field 13 (notes on values), which no runtime takes for a tensor.
  assert.deepEqual(passed, [`${5 * 8 + 2} -> ${13 * 8 + 2}`]);
});
