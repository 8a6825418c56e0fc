import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import type { Entry } from '../../entry.ts';
import { formatCef } from './cef.ts';
import { createFormat, FORMATS } from './format.ts';
import { formatOtlp, otlpRequest } from './otlp.ts';
import { ORIGIN, SAMPLES, sampleEvent } from './testing.ts';
import { formatSplunk } from './splunk.ts';
import { formatSyslog, frameSyslog } from './syslog.ts';

const SYSLOG = { hostname: 'keep.test', version: '0.1.0', processId: 42 };

/** Reads CEF as strictly as its description: seven header fields, pairs whose values escape `\` and `=`. */
function parseCef(line: string): { header: readonly string[]; extension: ReadonlyMap<string, string> } {
  assert.doesNotMatch(line, /[\r\n]/);
  const header: string[] = [];
  let field = '';
  let at = 0;
  for (; header.length < 7; at++) {
    const char = line[at];
    assert.notEqual(char, undefined, 'the header ends early');
    if (char === '\\') {
      assert.match(line[at + 1] ?? '', /[\\|]/, 'an escape that a header does not have');
      field += line[++at];
    } else if (char === '|') {
      header.push(field);
      field = '';
    } else field += char;
  }
  assert.equal(header[0], 'CEF:0');
  const extension = new Map<string, string>();
  // A value goes on until a space, a key and an unescaped equals sign.
  for (const match of line.slice(at).matchAll(/(?:^| )(\w+)=((?:[^\\=]|\\[\\=n])*?)(?= \w+=|$)/gy)) {
    const [, key = '', value = ''] = match;
    assert.ok(!extension.has(key), `${key} stands twice`);
    const plain = value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    extension.set(key, plain);
    at += match[0].length;
  }
  assert.equal(at, line.length, `not a pair: ${line.slice(at, at + 60)}`);
  return { header, extension };
}

/** Reads one RFC 5424 message by its grammar. */
function parseSyslog(text: string) {
  const match =
    /^<(\d{1,3})>1 (\S+) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) ((?:\[[!-<>-Z^-~]+(?: [!-<>-Z^-~]+="(?:[^"\\\]]|\\["\\\]])*")*\])+) ([^]*)$/.exec(
      text,
    );
  assert.ok(match !== null, `not RFC 5424: ${text.slice(0, 120)}`);
  const [, priority, time, hostname, app, processId, messageId, data, message] = match;
  return { priority: Number(priority), time, hostname, app, processId, messageId, data, message };
}

const HOSTILE = [
  'x\nCEF:0|Evil|Evil|1|forged|forged|10|act=allow',
  'x\r\n<86>1 2026-01-01T00:00:00Z evil evil - - - forged',
  '| act=allow outcome=success \\| \\',
  '\u001b[2J\u001b]0;title\u0007\u0000\u0085\u009b31m\u007f',
  '\u202egnp.exe\u2066 \u200b\u2028\u2029\ufeff',
  '\ud800 lone \udc00',
  '"}],"forged":[{"a":"',
  '日本語 ünï 😀',
];

const hostile = (text: string): Partial<Entry> => ({
  action: `model.${text}`,
  principal: { kind: 'user', id: text, name: text },
  credential: { kind: text, id: text },
  http: { method: text, route: text, status: 200 },
  resource: `/projects/${text}`,
  permission: text,
  reason: text,
  model: { version: text, digest: text },
  request: text,
  detail: { [text]: text, note: text },
});

// oxlint-disable-next-line no-control-regex -- what must not be there
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

describe('every format', () => {
  const formats = Object.fromEntries(FORMATS.map((name) => [name, createFormat(name, '0.1.0')]));
  const all = {
    ...formats,
    otlp: formatOtlp,
    splunk: (event: Parameters<typeof formatOtlp>[0]) =>
      formatSplunk(event, createFormat('cef', '1'), { format: 'cef' }),
  };

  for (const [name, format] of Object.entries(all)) {
    it(`writes ${name} as one line without anything unprintable, whatever the entry holds`, () => {
      for (const text of HOSTILE) {
        const line = format(sampleEvent(hostile(text)));
        assert.doesNotMatch(line, FORBIDDEN);
        assert.ok(line.isWellFormed());
        if (name === 'cef') parseCef(line);
        else JSON.parse(line);
      }
    });

    it(`writes ${name} for any text at all`, () => {
      fc.assert(
        fc.property(fc.array(fc.nat(0xffff), { maxLength: 40 }), (units) => {
          const text = String.fromCharCode(...units);
          const line = format(sampleEvent(hostile(text)));
          assert.doesNotMatch(line, FORBIDDEN);
          if (name === 'cef') parseCef(line);
          else JSON.parse(line);
        }),
        { numRuns: 60 },
      );
    });
  }

  it('holds an entry of 64 KiB', () => {
    const detail = Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`k${n}`, '界'.repeat(1365)]));
    const event = sampleEvent({ detail });
    assert.ok(Buffer.byteLength(JSON.stringify(event.entry)) > 60_000);
    for (const format of Object.values(all)) assert.ok(Buffer.byteLength(format(event)) < 512 * 1024);
    const { extension } = parseCef(formatCef(event, '1'));
    assert.ok((extension.get('cs6') ?? '').length <= 4000);
    const framed = frameSyslog(formatSyslog(event, formats['json']?.(event) ?? '', SYSLOG));
    assert.ok(Buffer.byteLength(framed) < 512 * 1024);
  });
});

describe('CEF', () => {
  it('has the fields of its header and the keys of its dictionary', () => {
    const { header, extension } = parseCef(formatCef(sampleEvent(), '0.1.0'));
    assert.deepEqual(header, [
      'CEF:0',
      'Modelkeep',
      'Modelkeep',
      '0.1.0',
      'model.invoke',
      'ada: model.invoke on /projects/fraud/models/score: allow, allowed',
      '1',
    ]);
    assert.equal(extension.get('rt'), String(Date.parse('2026-01-31T12:00:00.250Z')));
    assert.equal(extension.get('src'), '203.0.113.7');
    assert.equal(extension.get('externalId'), `${ORIGIN}/12`);
    assert.equal(extension.get('act'), 'allow');
    assert.equal(extension.get('cn1'), '200');
    assert.equal(extension.get('cn1Label'), 'status');
    const { extension: v6 } = parseCef(formatCef(SAMPLES['IPv6 source'] ?? sampleEvent(), '1'));
    assert.equal(v6.get('c6a2'), '2001:db8::1');
    assert.ok(!v6.has('src'));
  });

  it('gives back pipes, equals signs, backslashes and line ends as they were', () => {
    const reason = 'a|b=c\\d\ne=f \\| g\\';
    const { extension, header } = parseCef(formatCef(sampleEvent({ reason }), '1'));
    assert.equal(extension.get('reason'), reason);
    assert.equal(extension.get('outcome'), 'success');
    assert.ok(header[5]?.endsWith('allow, a|b=c\\d\\u000ae=f \\| g\\'));
  });

  it('keeps a forged pair and a forged record inside the value they came in', () => {
    const reason = 'x act=deny outcome=failure\nCEF:0|Evil|Evil|1|a|b|10|act=allow';
    const { extension } = parseCef(formatCef(sampleEvent({ reason, decision: 'deny' }), '1'));
    assert.equal(extension.get('act'), 'deny');
    assert.equal(extension.get('outcome'), 'failure');
    assert.equal(extension.get('reason'), reason);
  });
});

describe('syslog', () => {
  it('follows the grammar of RFC 5424', () => {
    const event = sampleEvent({ decision: 'deny' });
    const parsed = parseSyslog(formatSyslog(event, createFormat('ocsf', '1')(event), SYSLOG));
    assert.equal(parsed.priority, 13 * 8 + 5);
    assert.equal(parsed.time, '2026-01-31T12:00:00.250Z');
    assert.deepEqual([parsed.hostname, parsed.app, parsed.processId], ['keep.test', 'modelkeep', '42']);
    assert.equal(parsed.messageId, 'model.invoke');
    assert.equal(
      parsed.data,
      '[origin software="Modelkeep" swVersion="0.1.0"][meta sequenceId="13" language="en"]',
    );
    assert.equal((JSON.parse(parsed.message ?? '') as { class_uid: number }).class_uid, 6003);
  });

  it('is ASCII for JSON, and marked as UTF-8 where CEF needs more', () => {
    const event = sampleEvent({ principal: { kind: 'user', name: 'Zoë 😀' } });
    const json = parseSyslog(formatSyslog(event, createFormat('json', '1')(event), SYSLOG)).message ?? '';
    assert.match(json, /^[ -~]*$/);
    const { entry } = JSON.parse(json) as { entry: Entry };
    assert.equal(entry.principal.name, 'Zoë 😀');
    const cef = parseSyslog(formatSyslog(event, formatCef(event, '1'), SYSLOG)).message ?? '';
    assert.ok(cef.startsWith('\ufeffCEF:0|'));
    assert.equal(parseCef(cef.slice(1)).extension.get('suser'), 'Zoë 😀');
  });

  it('cannot be given a second message or a second header', () => {
    for (const text of HOSTILE) {
      const event = sampleEvent(hostile(text));
      for (const name of FORMATS) {
        const whole = formatSyslog(event, createFormat(name, '1')(event), SYSLOG);
        assert.doesNotMatch(whole.replace('\ufeff', ''), FORBIDDEN);
        assert.equal(parseSyslog(whole).app, 'modelkeep');
      }
    }
    const named = formatSyslog(sampleEvent(), '{}', { ...SYSLOG, hostname: 'a b\n<1>1', version: '"]x[' });
    assert.equal(parseSyslog(named).hostname, 'ab<1>1');
  });

  it('is framed by its length in octets', () => {
    assert.equal(frameSyslog('<1>1 é'), '7 <1>1 é');
  });
});

/** ExportLogsServiceRequest as opentelemetry-proto's logs.proto and common.proto have it, in protobuf's JSON mapping. */
const text = { type: 'string' };
const integer64 = { type: 'string', pattern: '^-?[0-9]+$' };
const object = (properties: Readonly<Record<string, unknown>>) => ({
  type: 'object',
  additionalProperties: false,
  properties,
});
const anyValue = {
  ...object({
    stringValue: text,
    boolValue: { type: 'boolean' },
    intValue: integer64,
    doubleValue: { type: 'number' },
  }),
  minProperties: 1,
  maxProperties: 1,
};
const attributes = {
  type: 'array',
  items: { ...object({ key: { ...text, minLength: 1 }, value: anyValue }), required: ['key', 'value'] },
};
const logRecord = object({
  timeUnixNano: integer64,
  observedTimeUnixNano: integer64,
  severityNumber: { type: 'integer', minimum: 1, maximum: 24 },
  severityText: text,
  body: anyValue,
  attributes,
  eventName: text,
});
const logsRequest = object({
  resourceLogs: {
    type: 'array',
    items: object({
      resource: object({ attributes }),
      scopeLogs: {
        type: 'array',
        items: object({
          scope: object({ name: text, version: text }),
          logRecords: { type: 'array', items: logRecord },
        }),
      },
    }),
  },
});

describe('OTLP', () => {
  it('has the shape of the protocol for everything that the log tells', () => {
    const validate = new Ajv({ strict: false }).compile(logsRequest);
    const records = Object.values(SAMPLES).map(formatOtlp);
    const request: unknown = JSON.parse(otlpRequest(records, { origin: ORIGIN, version: '0.1.0' }));
    assert.ok(validate(request), JSON.stringify(validate.errors));
    const { resourceLogs } = request as {
      resourceLogs: { scopeLogs: { logRecords: Record<string, unknown>[] }[] }[];
    };
    const written = resourceLogs[0]?.scopeLogs[0]?.logRecords ?? [];
    assert.equal(written.length, records.length);
    assert.equal(written[0]?.['timeUnixNano'], '1769860800250000000');
    for (const { attributes } of written as { attributes: { key: string }[] }[]) {
      assert.equal(new Set(attributes.map(({ key }) => key)).size, attributes.length);
    }
  });
});

describe('Splunk', () => {
  it('wraps an event with its time, source and key', () => {
    const event = sampleEvent();
    const written = formatSplunk(event, createFormat('json', '1'), { format: 'json', index: 'audit' });
    const { event: inner, ...envelope } = JSON.parse(written) as Record<string, unknown>;
    assert.deepEqual(envelope, {
      time: 1769860800.25,
      host: 'keep.test',
      source: ORIGIN,
      sourcetype: 'modelkeep:json',
      index: 'audit',
      fields: { key: `${ORIGIN}/12` },
    });
    assert.deepEqual((inner as { entry: unknown }).entry, event.entry);
  });
});
