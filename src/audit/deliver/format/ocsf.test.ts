import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import schemas from '../testdata/ocsf-1.8.0.json' with { type: 'json' };
import { checkpointEvent } from './event.ts';
import { formatOcsf, OCSF_VERSION, ocsfEvent } from './ocsf.ts';
import { ocsfClass } from './ocsf-class.ts';
import { ORIGIN, SAMPLES, sampleEvent } from './testing.ts';

const validators = new Map<number, ValidateFunction>();

/** What the OCSF schema says is wrong with an event; empty if nothing. */
function flaws(event: Readonly<Record<string, unknown>>): readonly string[] {
  const uid = event['class_uid'] as number;
  const classes: Readonly<Record<string, object>> = schemas.classes;
  const schema = classes[String(uid)];
  assert.ok(schema !== undefined, `class ${uid} is not in the fixture`);
  const validate =
    validators.get(uid) ??
    new Ajv2020({ strict: false, allErrors: true }).compile({ ...schema, $defs: schemas.$defs });
  validators.set(uid, validate);
  return validate(event)
    ? []
    : (validate.errors ?? []).map(({ instancePath, message, params }) =>
        [instancePath, message, JSON.stringify(params)].join(' '),
      );
}

const parse = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>;

describe('OCSF', () => {
  it('is written as the version of the schema it is held against', () => {
    assert.equal(schemas.version, OCSF_VERSION);
    assert.equal(Object.keys(schemas.classes).length, 7);
  });

  for (const [name, event] of Object.entries(SAMPLES)) {
    it(`describes a ${name} as the schema asks`, () => {
      const written = parse(formatOcsf(event, '0.1.0'));
      assert.deepEqual(flaws(written), []);
      const { class_uid: uid, activity_id: activity, type_uid: type } = written;
      assert.equal(type, (uid as number) * 100 + (activity as number));
    });
  }

  it('is refused by the schema when an attribute is missing, unknown, or of another type', () => {
    const event = ocsfEvent(sampleEvent(), '0.1.0');
    const { api: _api, ...without } = event;
    assert.match(flaws(without).join('\n'), /required property 'api'/);
    assert.match(flaws({ ...event, invented: 1 }).join('\n'), /additional properties/);
    assert.match(flaws({ ...event, severity_id: 9 }).join('\n'), /allowed values/);
    assert.match(flaws({ ...event, src_endpoint: { port: 1 } }).join('\n'), /src_endpoint/);
  });

  it('puts each kind of attempt into its class', () => {
    const types = Object.fromEntries(
      Object.entries(SAMPLES).map(([name, { entry }]) => {
        const { uid, activityId } = ocsfClass(entry);
        return [name, uid * 100 + activityId];
      }),
    );
    assert.deepEqual(types, {
      prediction: 600399,
      'denied prediction': 600399,
      'failed prediction': 600399,
      'wrong key': 300201,
      'IPv6 source': 600399,
      'sealed source': 600399,
      'local call': 600301,
      'start of a change': 600304,
      'end of a change': 600304,
      'new user': 300101,
      'changed account': 300199,
      'refused setup': 300101,
      'new key': 300401,
      'new role': 300401,
      'new binding': 300501,
      'refused binding': 300502,
      'new member': 300603,
      session: 300201,
      alert: 200401,
      'alert without facts': 200401,
      'clock step': 600399,
    });
  });

  it('says who, what, the outcome, the place in the log and the leaf hash', () => {
    const event = sampleEvent({ decision: 'deny', reason: 'access.no_matching_binding' });
    const written = ocsfEvent(event, '0.1.0');
    assert.equal(written['status_id'], 2);
    assert.equal(written['status_detail'], 'access.no_matching_binding');
    assert.deepEqual([written['action_id'], written['disposition_id']], [2, 2]);
    const { sequence, log_name: name, uid } = written['metadata'] as Record<string, unknown>;
    assert.deepEqual([sequence, name, uid], [12, ORIGIN, event.entry.id]);
    assert.equal(
      (written['raw_data_hash'] as { value: string }).value,
      Buffer.from(event.leaf ?? []).toString('hex'),
    );
    assert.deepEqual(written['ai_model'], {
      ai_provider: 'Modelkeep',
      name: 'fraud/score',
      version: '3',
      uid: 'ab'.repeat(32),
    });
  });

  it('says of a start that it has begun, not that it succeeded', () => {
    assert.equal(ocsfEvent(SAMPLES['start of a change'] ?? sampleEvent(), '1')['status'], 'Started');
  });

  it('cites the evidence and the techniques of an alert', () => {
    const written = ocsfEvent(SAMPLES['alert'] ?? sampleEvent(), '1');
    assert.equal(written['severity_id'], 4);
    assert.deepEqual(written['evidences'], [
      { name: 'entries of the audit log', data: { indices: [3, 4, 9] } },
    ]);
    const { attacks } = written['finding_info'] as { attacks: unknown };
    assert.deepEqual(attacks, [{ technique: { uid: 'T1110.001' } }, { technique: { uid: 'AML.T0024.002' } }]);
  });

  it('carries a signed checkpoint, whole', () => {
    const note = 'keep.test/audit\n13\nroot=\n\n— keep.test/audit sig=\n';
    const written = parse(formatOcsf(checkpointEvent(ORIGIN, note, 0), '1'));
    assert.deepEqual(flaws(written), []);
    assert.deepEqual((written['unmapped'] as { detail: unknown }).detail, { size: 13, checkpoint: note });
  });
});
