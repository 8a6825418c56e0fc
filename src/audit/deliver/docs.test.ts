import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { sinksSchema } from '../../config/audit-sinks.ts';
import { OCSF_ACTIONS, ocsfClass } from './format/ocsf-class.ts';
import { sampleEntry } from './format/testing.ts';

const DOCS = join(import.meta.dirname, '../../../docs');
const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm'))].map(([, block = '']) => block);

describe('the pages on delivery', () => {
  it('list every action that has an OCSF class of its own, and no other', async () => {
    const page = await readFile(join(DOCS, 'reference/event-mapping.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `([a-z_.]+)` \| (\d{4}) ([^|]+) \| (\d+) ([^|]+) \|$/gm)].map(
      ([, action = '', ...rest]) => [action, rest.join(' ')],
    );
    const wanted = Object.keys(OCSF_ACTIONS).map((action) => {
      const { uid, name, activityId, activity } = ocsfClass(sampleEntry({ action }));
      return [action, [uid, name, activityId, activity].join(' ')];
    });
    assert.deepEqual(new Map(rows as [string, string][]), new Map(wanted as [string, string][]));
    assert.equal(rows.length, wanted.length);
  });

  it('show a configuration that is accepted', async () => {
    const page = await readFile(join(DOCS, 'how-to/send-the-log-to-a-siem.md'), 'utf8');
    const [yaml = ''] = blocks(page, 'yaml');
    const { audit } = parse(yaml) as { audit: { sinks: unknown } };
    assert.deepEqual(
      sinksSchema.parse(audit.sinks).map(({ kind }) => kind),
      ['webhook', 'syslog', 'otlp', 'splunk', 'file'],
    );
  });

  it('show a check of the signature that takes ours and refuses others', async () => {
    const page = await readFile(join(DOCS, 'how-to/send-the-log-to-a-siem.md'), 'utf8');
    const [code = ''] = blocks(page, 'js');
    const url = `data:text/javascript,${encodeURIComponent(code)}`;
    const { isGenuine } = (await import(url)) as {
      isGenuine: (header: string, body: string, secret: string, now: number) => boolean;
    };
    const hex = createHmac('sha256', 'secret').update('1000.{}').digest('hex');
    assert.equal(isGenuine(`t=1000,v1=${hex}`, '{}', 'secret', 1200), true);
    assert.equal(isGenuine(`t=1000,v1=${hex}`, '{}', 'secret', 1400), false);
    assert.equal(isGenuine(`t=1000,v1=${hex}`, '{ }', 'secret', 1200), false);
    assert.equal(isGenuine(`t=1001,v1=${hex}`, '{}', 'secret', 1200), false);
    assert.equal(isGenuine('', '{}', 'secret', 1200), false);
  });
});
