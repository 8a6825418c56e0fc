import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { ApiFailure } from '../keep-client.ts';
import { type Answers, createFakeAccess, runCli, type TestIoOptions } from '../testing.ts';

const version = (number: number, aliases: readonly string[] = []) => ({
  number,
  digest: `${number}`.repeat(8),
  bytes: 2048,
  signature: {
    inputs: [{ name: 'value', type: 'FP32', shape: ['N', 1] }],
    outputs: [{ name: 'prediction', type: 'BYTES', shape: ['N'] }],
  },
  aliases,
  findings: [{ rule: 'onnx.domain', severity: 'warn', message: 'uses ai.onnx.ml' }],
  createdBy: 'usr_1',
  createdAt: '2026-01-01T00:00:00.000Z',
});
const model = {
  project: 'fraud',
  name: 'score',
  description: 'Whether a card payment is fraud',
  createdAt: '2026-01-01T00:00:00.000Z',
  aliases: { production: 2 },
  versions: [version(2, ['production']), version(1)],
};

let home: string;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
});

async function type(line: string, answers: Answers, options: TestIoOptions = {}) {
  const access = createFakeAccess(answers);
  const outcome = await runCli(line.split(' '), access, {
    environment: { MODELKEEP_HOME: home },
    ...options,
  });
  return { ...outcome, calls: access.calls };
}

const registry: Answers = ({ path, method }) => {
  if (path.endsWith('/artifact')) return 'ONNX bytes';
  if (path.endsWith('/predict')) return '{"prediction":"positive"}';
  if (path === '/api/v1/models') return { models: [model] };
  if (path.includes('/versions/')) return version(2, ['production']);
  return method === 'GET' ? model : version(3);
};

describe('models', () => {
  it('lists models with their aliases', async () => {
    const { out } = await type('models list', registry);
    assert.equal(
      out,
      'MODEL        ALIASES       CREATED               DESCRIPTION\n' +
        'fraud/score  production=2  2026-01-01T00:00:00Z  Whether a card payment is fraud\n',
    );
  });

  it('shows the versions of a model, and what one version takes and gives', async () => {
    const whole = await type('models show fraud/score', registry);
    assert.match(whole.out, /^VERSION  ALIASES +SIZE +CREATED +BY +SHA-256\n +2  production  2\.0 KiB/);
    const one = await type('models show fraud/score@production', registry);
    assert.equal(one.calls[1]?.path, '/api/v1/projects/fraud/models/score/versions/2');
    assert.match(
      one.out,
      /inputs +value: FP32 \[N, 1\]\noutputs +prediction: BYTES \[N\]\nfindings +onnx\.domain/,
    );
  });

  it('registers a file with its alias, and prints what the inspection remarked', async () => {
    const file = join(home, 'score.onnx');
    await writeFile(file, 'ONNX');
    const { code, err, calls } = await type(
      `models add ${file} --model fraud/score --alias staging`,
      registry,
    );
    assert.equal(code, 0, err);
    assert.deepEqual(calls[0]?.query, { alias: 'staging' });
    assert.equal(calls[0]?.bytes?.toString(), 'ONNX');
    assert.match(err, /registered fraud\/score@3, 2\.0 KiB, SHA-256 33333333\n/);
    assert.match(err, /warning: onnx\.domain: uses ai\.onnx\.ml\n/);
    assert.match(err, /hint: serve it: modelkeep models alias fraud\/score@3 production\n/);
  });

  it('points an alias at a version named by number or by another alias', async () => {
    const byNumber = await type('models alias fraud/score@1 production', registry);
    assert.deepEqual(byNumber.calls, [
      { method: 'PUT', path: '/api/v1/projects/fraud/models/score/aliases/production', body: { version: 1 } },
    ]);
    const byAlias = await type('models alias fraud/score@production staging', registry);
    assert.deepEqual(byAlias.calls.at(-1)?.body, { version: 2 });
    const unknown = await type('models alias fraud/score@canary production', registry);
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /fraud\/score has no alias canary/);
  });

  it('exports into a pipe or a new private file, and never to a terminal', async () => {
    assert.equal((await type('models export fraud/score@2', registry)).out, 'ONNX bytes');
    const terminal = await type('models export fraud/score@2', registry, { columns: 80 });
    assert.equal(terminal.code, 2);
    assert.match(
      terminal.err,
      /binary and would disturb the terminal\nmodelkeep: hint: write it to a file with -o/,
    );
    const file = join(home, 'exported.onnx');
    assert.equal((await type(`models export fraud/score@2 -o ${file}`, registry)).code, 0);
    assert.equal(await readFile(file, 'utf8'), 'ONNX bytes');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    const again = await type(`models export fraud/score@2 -o ${file}`, registry);
    assert.equal(again.code, 1);
    assert.match(again.err, /exported\.onnx already exists/);
  });

  it('asks which version when there are several', async () => {
    const { code, err } = await type('models export fraud/score', registry);
    assert.equal(code, 2);
    assert.match(err, /has 2 versions: say which\nmodelkeep: hint: for example fraud\/score@2/);
  });

  it('leaves nothing behind and exits with 3 when the artifact is damaged', async () => {
    const file = join(home, 'damaged.onnx');
    const { code } = await type(`models export fraud/score@2 -o ${file}`, () => {
      return new ApiFailure(500, {
        code: 'models.artifact_corrupt',
        detail: 'fraud/score version 2 is damaged',
      });
    });
    assert.equal(code, 3);
    assert.deepEqual(
      (await readdir(home)).filter((name) => name.includes('damaged') || name.includes('partial')),
      [],
    );
  });

  it('deletes one version or the whole model', async () => {
    const one = await type('models remove fraud/score@1 --yes', registry);
    assert.equal(one.calls.at(-1)?.path, '/api/v1/projects/fraud/models/score/versions/1');
    const whole = await type('models remove fraud/score --yes', registry);
    assert.equal(whole.calls.at(-1)?.path, '/api/v1/projects/fraud/models/score');
  });
});

describe('predict', () => {
  it('sends the bytes of stdin and prints the bytes of the answer', async () => {
    const input = '{"value": 12345678901234567890}';
    const { code, out, calls } = await type('predict polarity --input -', registry, { stdin: input });
    assert.equal(code, 0);
    assert.equal(out, '{"prediction":"positive"}\n');
    assert.equal(calls[0]?.path, '/projects/default/models/polarity/predict');
    assert.equal(calls[0]?.contentType, 'application/json');
    assert.equal(calls[0]?.bytes?.toString(), input);
  });

  it('names a version by number or alias', async () => {
    const file = join(home, 'input.json');
    await writeFile(file, '{"value": 3}');
    const byNumber = await type(`predict polarity@2 --input ${file}`, registry);
    assert.deepEqual(byNumber.calls[0]?.query, { version: '2' });
    assert.equal(byNumber.calls[0]?.bytes?.toString(), '{"value": 3}');
    const byAlias = await type(`predict polarity@staging --input ${file}`, registry);
    assert.deepEqual(byAlias.calls[0]?.query, { alias: 'staging' });
    const missing = await type('predict polarity --input missing.json', registry);
    assert.equal(missing.code, 1);
    assert.match(missing.err, /missing\.json does not exist/);
  });

  it('exits with 4 when the caller may not', async () => {
    const { code, out } = await type(
      'predict polarity --input -',
      () => new ApiFailure(403, { detail: 'no' }),
    );
    assert.equal(code, 4);
    assert.equal(out, '');
  });
});
