import { z } from 'zod';
import type { RegisteredModel, RegisteredVersion } from './model-index.ts';
import type { ProjectRecord } from './record.ts';
import type { TensorSpec } from './version.ts';

const tensor = z.object({
  name: z.string(),
  type: z.string(),
  shape: z.array(z.union([z.number(), z.string()])),
});
export const project = z.object({ id: z.string(), name: z.string(), createdAt: z.string() });
/** A version, as the API shows it. */
export const version = z.object({
  id: z.string(),
  project: z.string(),
  model: z.string(),
  number: z.number(),
  format: z.literal('onnx'),
  digest: z.string(),
  bytes: z.number(),
  signature: z.object({ inputs: z.array(tensor), outputs: z.array(tensor) }),
  findings: z.array(z.object({ rule: z.string(), severity: z.enum(['block', 'warn']), message: z.string() })),
  aliases: z.array(z.string()),
  createdBy: z.string(),
  createdAt: z.string(),
});
/** A model, as lists show it. */
export const modelSummary = z.object({
  id: z.string(),
  project: z.string(),
  name: z.string(),
  description: z.string(),
  createdBy: z.string(),
  createdAt: z.string(),
  aliases: z.record(z.string(), z.number()),
});
export const model = modelSummary.extend({ versions: z.array(version) });

export function projectView({ id, name, createdAt }: ProjectRecord): z.infer<typeof project> {
  return { id, name, createdAt: isoTime(createdAt) };
}

export function versionView({
  signature,
  findings,
  aliases,
  createdAt,
  ...rest
}: RegisteredVersion): z.infer<typeof version> {
  return {
    ...rest,
    signature: { inputs: signature.inputs.map(tensorView), outputs: signature.outputs.map(tensorView) },
    findings: [...findings],
    aliases: [...aliases],
    createdAt: isoTime(createdAt),
  };
}

export function summaryView({ versions, createdAt, ...rest }: RegisteredModel): z.infer<typeof modelSummary> {
  const aliases = versions.flatMap(({ aliases, number }) => aliases.map((alias) => [alias, number] as const));
  return { ...rest, createdAt: isoTime(createdAt), aliases: Object.fromEntries(aliases) };
}

export function modelView(registered: RegisteredModel): z.infer<typeof model> {
  return { ...summaryView(registered), versions: registered.versions.map(versionView) };
}

function tensorView({ name, type, shape }: TensorSpec): z.infer<typeof tensor> {
  return { name, type, shape: [...shape] };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
