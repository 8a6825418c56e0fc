import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import schema from '../testdata/ecs-9.4.0.json' with { type: 'json' };
import { ECS_VERSION, formatEcs } from './ecs.ts';
import { SAMPLES, sampleEvent } from './testing.ts';

interface Field {
  readonly type: string;
  readonly array?: boolean;
  /** Allowed values; for event.category the event types that go with each. */
  readonly values?: Readonly<Record<string, readonly string[]>>;
}
const FIELDS: Readonly<Record<string, Field>> = schema.fields;

/** Leaves of a document by their dotted name, without our own name space. */
function leaves(value: Readonly<Record<string, unknown>>, prefix = ''): [string, unknown][] {
  return Object.entries(value).flatMap(([name, member]) => {
    const path = prefix + name;
    if (path === 'modelkeep') return [];
    const isObject = typeof member === 'object' && member !== null && !Array.isArray(member);
    return isObject ? leaves(member as Record<string, unknown>, `${path}.`) : [[path, member]];
  });
}

/** What is not as ECS defines it. */
function flaws(document: Readonly<Record<string, unknown>>): string[] {
  return leaves(document).flatMap(([path, value]) => {
    const field = FIELDS[path];
    if (field === undefined) return [`${path} is not a field of ECS`];
    if (Array.isArray(value) !== (field.array ?? false)) return [`${path} is an array, or is none`];
    return [value].flat().flatMap((each: unknown) => {
      const wanted = /^(?:long|integer|float)$/.test(field.type) ? 'number' : 'string';
      if (typeof each !== wanted) return [`${path} is no ${field.type}`];
      const isKnown = field.values === undefined || Object.hasOwn(field.values, String(each));
      return isKnown ? [] : [`${path} may not be ${String(each)}`];
    });
  });
}

describe('ECS', () => {
  it('is written as the version of the schema it is held against', () => {
    assert.equal(schema.version, ECS_VERSION);
    assert.ok(Object.keys(FIELDS).length > 150);
  });

  for (const [name, event] of Object.entries(SAMPLES)) {
    it(`describes a ${name} with fields and values of the schema`, () => {
      const document = JSON.parse(formatEcs(event, '0.1.0')) as Record<string, unknown>;
      assert.deepEqual(flaws(document), []);
      const { category, type } = document['event'] as { category: string[]; type: string[] };
      const fitting = category.flatMap((each) => FIELDS['event.category']?.values?.[each] ?? []);
      assert.deepEqual(
        type.filter((each) => !fitting.includes(each)),
        [],
      );
      assert.ok(type.length > 0 && category.length > 0);
    });
  }

  it('has a check that sees unknown fields, wrong types and unknown values', () => {
    assert.deepEqual(flaws({ event: { invented: 1 } }), ['event.invented is not a field of ECS']);
    assert.deepEqual(flaws({ event: { sequence: '1' } }), ['event.sequence is no long']);
    assert.deepEqual(flaws({ event: { category: ['nonsense'] } }), ['event.category may not be nonsense']);
  });

  it('keeps one type for each member of the detail', () => {
    const { modelkeep } = JSON.parse(formatEcs(sampleEvent({ detail: { a: 1, b: true, c: 'x' } }), '1')) as {
      modelkeep: { detail: unknown };
    };
    assert.deepEqual(modelkeep.detail, { a: '1', b: 'true', c: 'x' });
  });
});
