import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import { requireYes } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { CliFailure, usage } from '../failure.ts';
import { apiPath, type KeepClient } from '../keep-client.ts';
import { writeNewFile } from '../new-file.ts';
import { listAll } from '../pages.ts';
import { parseModelName, withoutVersion, type ModelName } from '../resources.ts';
import { renderBytes, renderFacts, renderTime } from '../table.ts';
import { addStrayBlobs } from './stray-blobs.ts';

interface Tensor {
  readonly name: string;
  readonly type: string;
  readonly shape: readonly (number | string)[];
}

/** What the inspection remarked, short of refusing. */
interface Finding {
  readonly rule: string;
  readonly severity: string;
  readonly message: string;
}

interface ModelVersion {
  readonly number: number;
  readonly digest: string;
  readonly bytes: number;
  readonly signature: { readonly inputs: readonly Tensor[]; readonly outputs: readonly Tensor[] };
  readonly aliases: readonly string[];
  readonly findings: readonly Finding[];
  readonly createdBy: string;
  readonly createdAt: number | string;
}

interface Model {
  readonly project: string;
  readonly name: string;
  readonly description: string;
  readonly createdAt: string;
  readonly aliases: Readonly<Record<string, number>>;
  readonly versions: readonly ModelVersion[];
}

export function addModelCommands(program: Command, context: CommandContext): void {
  const models = program.command('models').description('the registry: models, their versions and aliases');
  addModelReading(models, context);
  addModelChanges(models, context);
  addAliases(models, context);
  addStrayBlobs(models, context);
}

function addModelReading(models: Command, { output, withKeep }: CommandContext): void {
  models
    .command('list')
    .description('list the models you may read')
    .action(async () => {
      const { answer, rows } = await withKeep((keep) =>
        listAll<Omit<Model, 'versions'>>(keep, 'models', { path: '/api/v1/models' }),
      );
      output.list(
        answer,
        rows,
        [
          { title: 'MODEL', value: (model) => `${model.project}/${model.name}` },
          {
            title: 'ALIASES',
            value: ({ aliases }) =>
              Object.keys(aliases)
                .map((alias) => `${alias}=${aliases[alias]}`)
                .join(', '),
          },
          { title: 'CREATED', value: (model) => renderTime(model.createdAt) },
          { title: 'DESCRIPTION', value: (model) => model.description, shrink: true },
        ],
        'there are no models',
      );
    })
    .addHelpText('after', example('modelkeep models list'));
  models
    .command('show <model>')
    .description(
      'show a model and its versions; PROJECT/MODEL@VERSION shows what one version takes and gives',
    )
    .action(async (text: string) => {
      const name = parseModelName(text);
      if (name.version !== undefined) {
        const version = await withKeep(async (keep) => {
          const path = `${modelPath(name)}/versions/${await numberOf(keep, name)}`;
          return keep.request<ModelVersion>({ method: 'GET', path });
        });
        output.text(version, renderVersion(version));
        return;
      }
      const model = await withKeep((keep) => keep.request<Model>({ method: 'GET', path: modelPath(name) }));
      output.list(
        model,
        model.versions,
        [
          { title: 'VERSION', value: (version) => version.number, align: 'right' },
          { title: 'ALIASES', value: (version) => version.aliases.join(', ') },
          { title: 'SIZE', value: (version) => renderBytes(version.bytes), align: 'right' },
          { title: 'CREATED', value: (version) => renderTime(version.createdAt) },
          { title: 'BY', value: (version) => version.createdBy },
          { title: 'SHA-256', value: (version) => version.digest },
        ],
        `${text} has no versions`,
      );
    })
    .addHelpText(
      'after',
      example('modelkeep models show fraud/score', 'modelkeep models show fraud/score@production'),
    );
}

function addModelChanges(models: Command, { io, output, withKeep }: CommandContext): void {
  models
    .command('add <file>')
    .description('inspect, digest, encrypt and register an ONNX file as the next version of a model')
    .requiredOption('--model <model>', 'PROJECT/MODEL; a new name makes a new model')
    .option('--description <text>', 'what the model does')
    .option('--alias <alias>', 'point this alias at the new version')
    .action(async (file: string, options: { model: string; description?: string; alias?: string }) => {
      const name = withoutVersion(options.model);
      // Opened first: an unreadable file must fail before a request is made.
      const handle = await open(file);
      const version = await withKeep(async (keep) => {
        try {
          return await keep.request<ModelVersion>({
            method: 'POST',
            path: `${modelPath(name)}/versions`,
            query: { description: options.description, alias: options.alias },
            stream: handle.createReadStream(),
          });
        } finally {
          await handle.close();
        }
      });
      const id = `${name.project}/${name.model}@${version.number}`;
      output.done(version, `registered ${id}, ${renderBytes(version.bytes)}, SHA-256 ${version.digest}`);
      if (output.isJson()) return;
      for (const finding of version.findings) output.talk(`modelkeep: warning: ${sentenceOf(finding)}`);
      if (version.aliases.length === 0) {
        output.hint(`serve it: modelkeep models alias ${id} production`);
      }
    })
    .addHelpText('after', example('modelkeep models add score.onnx --model fraud/score --alias production'));
  models
    .command('export <model>')
    .description('decrypt an artifact, PROJECT/MODEL@VERSION, into a file or a pipe; needs model.download')
    .option('-o, --output <file>', 'write to a new file, mode 0600')
    .action(async (text: string, options: { output?: string }) => {
      const name = parseModelName(text);
      if (options.output === undefined && io.stdoutIsTerminal) {
        throw usage('a model is binary and would disturb the terminal', 'write it to a file with -o FILE');
      }
      await withKeep(async (keep) => {
        const number = await numberOf(keep, name);
        const path = `${modelPath(name)}/versions/${number}/artifact`;
        const artifact = keep.download({ method: 'GET', path });
        if (options.output === undefined) await output.bytes(artifact);
        else await writeNewFile(options.output, artifact);
      });
      if (options.output !== undefined) output.talk(`wrote ${options.output}`);
    })
    .addHelpText('after', example('modelkeep models export fraud/score@3 -o score.onnx'));
  models
    .command('remove <model>')
    .description('delete one version, PROJECT/MODEL@VERSION, or a model with all its versions')
    .option('--yes', 'do not ask')
    .action(async (text: string, { yes }: { yes?: boolean }) => {
      const name = parseModelName(text);
      await requireYes(
        io,
        yes,
        name.version === undefined ? `delete ${text} with all its versions?` : `delete ${text}?`,
      );
      const answer = await withKeep(async (keep) => {
        const suffix = name.version === undefined ? '' : `/versions/${await numberOf(keep, name)}`;
        return keep.request({ method: 'DELETE', path: `${modelPath(name)}${suffix}` });
      });
      output.done(answer, `deleted ${text}`);
    })
    .addHelpText('after', example('modelkeep models remove fraud/score@1 --yes'));
}

function addAliases(models: Command, { output, withKeep }: CommandContext): void {
  models
    .command('alias <model> <alias>')
    .description(
      'point an alias at PROJECT/MODEL@VERSION; what it pointed at before is no longer served under it',
    )
    .action(async (text: string, alias: string) => {
      const name = parseModelName(text);
      if (name.version === undefined) {
        throw usage(
          `${text} does not name a version`,
          `for example: modelkeep models alias ${text}@1 ${alias}`,
        );
      }
      const answer = await withKeep(async (keep) => {
        const number = await numberOf(keep, name);
        const path = `${modelPath(name)}${apiPath`/aliases/${alias}`}`;
        return keep.request({ method: 'PUT', path, body: { version: number } });
      });
      output.done(answer, `${alias} of ${name.project}/${name.model} is ${text}`);
    })
    .addHelpText('after', example('modelkeep models alias fraud/score@3 production'));
  models
    .command('unalias <model> <alias>')
    .description('remove an alias; the version stays')
    .action(async (text: string, alias: string) => {
      const path = `${modelPath(withoutVersion(text))}${apiPath`/aliases/${alias}`}`;
      const answer = await withKeep((keep) => keep.request({ method: 'DELETE', path }));
      output.done(answer, `removed alias ${alias} of ${text}`);
    })
    .addHelpText('after', example('modelkeep models unalias fraud/score staging'));
}

function sentenceOf({ rule, message }: Finding): string {
  return `${rule}: ${message}`;
}

function modelPath({ project, model }: ModelName): string {
  return apiPath`/api/v1/projects/${project}/models/${model}`;
}

/** The number of the version that a name means: the number itself, an alias, or the only version there is. */
async function numberOf(keep: KeepClient, name: ModelName): Promise<number> {
  const { version: wanted } = name;
  if (wanted !== undefined && /^[1-9]\d{0,8}$/.test(wanted)) return Number(wanted);
  const { versions } = await keep.request<Model>({ method: 'GET', path: modelPath(name) });
  const id = `${name.project}/${name.model}`;
  if (wanted === undefined) {
    const [only, ...others] = versions;
    if (only !== undefined && others.length === 0) return only.number;
    throw usage(`${id} has ${versions.length} versions: say which`, `for example ${id}@${only?.number ?? 1}`);
  }
  const found = versions.find(({ aliases }) => aliases.includes(wanted));
  if (found !== undefined) return found.number;
  throw new CliFailure(`${id} has no alias ${wanted}`, { hint: `see: modelkeep models show ${id}` });
}

function renderVersion(version: ModelVersion): string {
  const tensors = (title: string, specs: readonly Tensor[]): readonly (readonly [string, string])[] =>
    specs.map((spec, index) => [
      index === 0 ? title : '',
      `${spec.name}: ${spec.type} [${spec.shape.join(', ')}]`,
    ]);
  return renderFacts([
    ['version', version.number],
    ['aliases', version.aliases.join(', ')],
    ['size', renderBytes(version.bytes)],
    ['sha-256', version.digest],
    ['created', `${renderTime(version.createdAt)} by ${version.createdBy}`],
    ...tensors('inputs', version.signature.inputs),
    ...tensors('outputs', version.signature.outputs),
    ...version.findings.map(
      (finding, index) => [index === 0 ? 'findings' : '', sentenceOf(finding)] as const,
    ),
  ]);
}
