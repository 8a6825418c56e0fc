import { z } from 'zod';
import type { Permission } from '../access/catalogue.ts';
import type { Call, Reply, Route, ScopeOf } from '../http/route.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import type { Caller } from '../kernel/principal.ts';
import type { RegisteredVersion } from './model-index.ts';
import { modelsProblems } from './problems.ts';
import { ARTIFACT_BYTES_MAX, type Registry } from './registry.ts';
import { createStrayBlobRoutes } from './stray-blob-routes.ts';
import {
  model,
  modelSummary,
  modelView,
  project,
  projectView,
  summaryView,
  version,
  versionView,
} from './views.ts';

/** Whether the caller may read what lies at `path`. */
export type Visible = (caller: Caller, path: string) => boolean;

export interface ModelRoutesOptions {
  readonly registry: Registry;
  readonly visible: Visible;
  readonly clock?: Pick<Clock, 'now'>;
  /** Largest model file that is accepted. */
  readonly bytesMax?: number;
}

const newProject = z.strictObject({ name: z.string().max(64) });
const newVersion = z.strictObject({
  description: z.string().max(2000).optional(),
  alias: z.string().max(64).optional(),
});
const aliasTarget = z.strictObject({ version: z.int().min(1) });

const PROJECTS = '/api/v1/projects';
const MODEL = `${PROJECTS}/{project}/models/{model}`;
const VERSION = `${MODEL}/versions/{version}`;
const ALIAS = `${MODEL}/aliases/{alias}`;

const projectsScope: ScopeOf = () => '/projects';
const modelScope: ScopeOf = ({ params }) => modelPath(params['project'], params['model']);
const versionScope: ScopeOf = ({ params }) =>
  `${modelPath(params['project'], params['model'])}/versions/${params['version']}`;

/** Everything about projects, models, versions and aliases, as routes. */
export function createModelRoutes(options: ModelRoutesOptions): readonly Route<Permission>[] {
  return [
    ...projectRoutes(options),
    ...modelRoutes(options),
    ...versionRoutes(options),
    ...aliasRoutes(options),
    ...createStrayBlobRoutes({ registry: options.registry, clock: options.clock ?? systemClock }),
  ];
}

function projectRoutes({ registry }: ModelRoutesOptions): readonly Route<Permission>[] {
  const tag = 'projects';
  return [
    {
      method: 'GET',
      path: PROJECTS,
      guard: { permission: 'project.list', scope: projectsScope },
      audit: 'project.list',
      summary: 'List projects',
      tag,
      response: z.object({ projects: z.array(project) }),
      handle: () => ({ body: { projects: registry.listProjects().map(projectView) } }),
    },
    {
      method: 'POST',
      path: PROJECTS,
      guard: { permission: 'project.create', scope: projectsScope },
      audit: 'project.create',
      summary: 'Create a project',
      tag,
      request: { body: newProject },
      response: project,
      status: 201,
      problems: [modelsProblems.name_invalid, modelsProblems.project_exists],
      async handle(call) {
        const created = await registry.createProject((call.body as z.infer<typeof newProject>).name);
        call.note({ resource: `/projects/${created.name}` });
        return { status: 201, body: projectView(created) };
      },
    },
  ];
}

function modelRoutes({ registry, visible }: ModelRoutesOptions): readonly Route<Permission>[] {
  const tag = 'models';
  return [
    {
      method: 'GET',
      path: '/api/v1/models',
      guard: { authenticated: 'answers only the models that the caller may read' },
      audit: 'model.list',
      summary: 'List the models that the caller may read',
      tag,
      response: z.object({ models: z.array(modelSummary) }),
      handle({ caller }) {
        const readable = registry
          .listModels()
          .filter((registered) => visible(caller, modelPath(registered.project, registered.name)));
        return { body: { models: readable.map(summaryView) } };
      },
    },
    {
      method: 'GET',
      path: MODEL,
      guard: { permission: 'model.read', scope: modelScope },
      audit: 'model.read',
      summary: 'Show a model with its versions and aliases',
      tag,
      response: model,
      problems: [modelsProblems.model_unknown],
      handle: (call) => ({ body: modelView(registry.getModel(...modelOf(call))) }),
    },
    {
      method: 'DELETE',
      path: MODEL,
      guard: { permission: 'model.delete', scope: modelScope },
      audit: 'model.delete',
      summary: 'Remove a model with all its versions, aliases and artifacts',
      tag,
      response: model,
      problems: [modelsProblems.model_unknown],
      async handle(call) {
        const removed = await registry.removeModel(...modelOf(call));
        call.note({ detail: { id: removed.id, versions: removed.versions.length } });
        return { body: modelView(removed) };
      },
    },
  ];
}

function versionRoutes({
  registry,
  bytesMax = ARTIFACT_BYTES_MAX,
}: ModelRoutesOptions): readonly Route<Permission>[] {
  const tag = 'versions';
  const known = [modelsProblems.model_unknown, modelsProblems.version_unknown];
  return [
    {
      method: 'POST',
      path: `${MODEL}/versions`,
      guard: { permission: 'version.create', scope: modelScope },
      audit: 'version.create',
      summary:
        'Add an ONNX file as the next version; a new name also needs model.create, an alias version.promote',
      tag,
      request: {
        query: newVersion,
        body: { stream: 'application/octet-stream', bytesMax },
      },
      response: version,
      status: 201,
      problems: [
        modelsProblems.model_rejected,
        modelsProblems.inspection_failed,
        modelsProblems.busy,
        modelsProblems.artifact_too_large,
        modelsProblems.project_unknown,
        modelsProblems.name_invalid,
      ],
      async handle(call) {
        const [projectName, modelName] = modelOf(call);
        const path = modelPath(projectName, modelName);
        const { description, alias } = call.query as z.infer<typeof newVersion>;
        if (registry.findModel(projectName, modelName) === undefined) call.require('model.create', path);
        if (alias !== undefined) call.require('version.promote', path);
        const added = await registry.add({
          project: projectName,
          model: modelName,
          source: call.stream,
          createdBy: call.caller.principal.id,
          ...(description === undefined ? {} : { description }),
          ...(alias === undefined ? {} : { alias }),
        });
        return { status: 201, ...shown(call, added) };
      },
    },
    {
      method: 'GET',
      path: VERSION,
      guard: { permission: 'version.read', scope: versionScope },
      audit: 'version.read',
      summary: 'Show a version',
      tag,
      response: version,
      problems: known,
      handle: (call) => shown(call, registry.getVersion(...versionOf(call))),
    },
    {
      method: 'DELETE',
      path: VERSION,
      guard: { permission: 'version.delete', scope: versionScope },
      audit: 'version.delete',
      summary: 'Remove a version and its artifact; refused while an alias points at it',
      tag,
      response: version,
      problems: [...known, modelsProblems.version_in_use],
      handle: async (call) => shown(call, await registry.removeVersion(...versionOf(call))),
    },
    {
      method: 'GET',
      path: `${VERSION}/artifact`,
      guard: { permission: 'model.download', scope: versionScope },
      audit: 'model.download',
      summary: 'Download the decrypted artifact, after both its digests have been compared',
      tag,
      problems: [...known, modelsProblems.artifact_corrupt, modelsProblems.artifact_unreadable],
      async handle(call) {
        const wanted = registry.getVersion(...versionOf(call));
        note(call, wanted);
        // All of it is checked before the first byte leaves: a status cannot be taken back.
        for await (const _ of registry.openArtifact(wanted));
        return {
          headers: {
            'content-type': 'application/octet-stream',
            'content-length': String(wanted.bytes),
            'content-disposition': `attachment; filename="${wanted.model}-${wanted.number}.onnx"`,
          },
          body: registry.openArtifact(wanted),
        };
      },
    },
  ];
}

function aliasRoutes({ registry }: ModelRoutesOptions): readonly Route<Permission>[] {
  const tag = 'aliases';
  return [
    {
      method: 'PUT',
      path: ALIAS,
      guard: { permission: 'version.promote', scope: modelScope },
      audit: 'alias.set',
      summary: 'Point an alias at a version',
      tag,
      request: { body: aliasTarget },
      response: version,
      problems: [modelsProblems.model_unknown, modelsProblems.version_unknown, modelsProblems.name_invalid],
      async handle(call) {
        const [projectName, modelName] = modelOf(call);
        const alias = param(call, 'alias');
        const promoted = await registry.setAlias({
          project: projectName,
          model: modelName,
          alias,
          version: (call.body as z.infer<typeof aliasTarget>).version,
          by: call.caller.principal.id,
        });
        call.note({ detail: { alias } });
        return shown(call, promoted);
      },
    },
    {
      method: 'DELETE',
      path: ALIAS,
      guard: { permission: 'version.promote', scope: modelScope },
      audit: 'alias.remove',
      summary: 'Remove an alias; the version stays',
      tag,
      status: 204,
      problems: [modelsProblems.model_unknown, modelsProblems.alias_unknown],
      async handle(call) {
        const [projectName, modelName] = modelOf(call);
        const alias = param(call, 'alias');
        call.note({ detail: { alias } });
        await registry.removeAlias({ project: projectName, model: modelName, alias });
        return { status: 204 };
      },
    },
  ];
}

function shown(call: Call, registered: RegisteredVersion): Reply {
  note(call, registered);
  return { body: versionView(registered) };
}

function note(
  call: Call,
  { project: projectName, model: modelName, number, digest }: RegisteredVersion,
): void {
  call.note({
    resource: `${modelPath(projectName, modelName)}/versions/${number}`,
    model: { version: String(number), digest },
  });
}

function modelOf(call: Call): [project: string, model: string] {
  return [param(call, 'project'), param(call, 'model')];
}

/** A segment that is no version number in its only spelling names no version. */
function versionOf(call: Call): [project: string, model: string, number: number] {
  const [projectName, modelName] = modelOf(call);
  const text = param(call, 'version');
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw modelsProblems.version_unknown(`${projectName}/${modelName} has no version of this name`);
  }
  return [projectName, modelName, Number(text)];
}

function param(call: Call, name: string): string {
  return call.params[name] ?? '';
}

function modelPath(projectName = '', modelName = ''): string {
  return `/projects/${projectName}/models/${modelName}`;
}
