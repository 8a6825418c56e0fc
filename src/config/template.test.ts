import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfigFile } from './file.ts';
import { configKeys } from './key.ts';
import { loadConfig } from './load.ts';
import { configTemplate } from './template.ts';

const load = (text: string) =>
  loadConfig({ flags: {}, env: {}, homeDirectory: '/keep', readFile: () => text });

describe('the configuration that a new keep has', () => {
  it('sets nothing', () => {
    assert.deepEqual(load(configTemplate()), load(''));
    assert.doesNotMatch(configTemplate(), /^[^#\n]/m);
  });

  it('has every key of the schema with its meaning and its default, one # away', () => {
    const text = configTemplate();
    const settings = parseConfigFile(text.replaceAll(/^#(?! )|^#(?= {2})/gm, ''));
    assert.ok(configKeys.length > 30, `only ${configKeys.length} keys were seen`);
    assert.deepEqual(
      settings.map(({ name, value }) => [name, value]),
      configKeys.map(({ name, fallback }) => [name, fallback ?? null]),
    );
    for (const { name, about } of configKeys) assert.ok(about !== '' && text.includes(`# ${about}`), name);
  });
});
