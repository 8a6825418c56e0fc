/**
 * The entry of a model process: one model, no files, no secrets, nothing to reach but its parent. It takes the model
 * from pipe 3 (8 bytes big-endian length, then the bytes), loads it, and then answers one run after the other.
 *
 * Arguments: the file URL of onnxruntime-node, and the bound on the bytes of all outputs of a run.
 */
import { readSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type * as Ort from 'onnxruntime-node';
import type { DataType } from '../models/version.ts';
import type { HostMessage, RunRequest, SessionValue } from './host-wire.ts';
import { byteLength, type Tensor } from './tensors.ts';

const PIPE = 3;
const [, , runtimeUrl = '', outputBytesMax = '0'] = process.argv;

const ORT_TYPES: Readonly<Record<DataType, Ort.Tensor.Type>> = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
  BYTES: 'string',
};
const DATA_TYPES = new Map(Object.entries(ORT_TYPES).map(([type, name]) => [name, type as DataType]));

// Ctrl-C reaches the whole process group; the parent decides when its model processes end.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));

const model = receiveModel();
await watchParent();
const ort = await loadRuntime();
const session = ort && (await loadModel(ort, model));
if (ort && session) {
  const fetches = session.outputMetadata.filter(({ isTensor }) => isTensor).map(({ name }) => name);
  process.on('message', (request: RunRequest) => void run(ort, session, fetches, request));
  tell({
    kind: 'ready',
    inputs: session.inputMetadata.map(describe),
    outputs: session.outputMetadata.map(describe),
  });
}

function receiveModel(): Uint8Array {
  const length = Number(new DataView(receive(8).buffer).getBigUint64(0));
  return receive(length);
}

function receive(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count; ) {
    const read = readSync(PIPE, bytes, at, count - at, null);
    if (read === 0) process.kill(process.pid, 'SIGKILL');
    at += read;
  }
  return bytes;
}

/**
 * A parent that was killed cannot end its children, and a thread inside native code hears neither `disconnect` nor a
 * JavaScript signal handler. A second thread waits for the end of the pipe, and ends the process whatever it is doing.
 */
async function watchParent(): Promise<void> {
  const source = `
    require('node:worker_threads').parentPort.postMessage('watching');
    try { require('node:fs').readSync(${PIPE}, new Uint8Array(1), 0, 1, null) } catch {}
    process.kill(process.pid, 'SIGKILL');`;
  const resourceLimits = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 2 };
  const worker = new Worker(source, { eval: true, env: {}, resourceLimits });
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
}

async function loadRuntime(): Promise<typeof Ort | undefined> {
  try {
    const { default: runtime } = (await import(runtimeUrl)) as { default: typeof Ort };
    return runtime;
  } catch (error) {
    tell({ kind: 'failed', reason: 'runtime', message: String(error) });
    return undefined;
  }
}

async function loadModel(runtime: typeof Ort, bytes: Uint8Array): Promise<Ort.InferenceSession | undefined> {
  try {
    return await runtime.InferenceSession.create(bytes, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 3,
    });
  } catch (error) {
    tell({ kind: 'failed', reason: 'model', message: String(error) });
    return undefined;
  }
}

async function run(
  runtime: typeof Ort,
  session: Ort.InferenceSession,
  fetches: readonly string[],
  { id, inputs }: RunRequest,
): Promise<void> {
  try {
    const feeds = Object.fromEntries(inputs.map((input) => [input.name, toOrt(runtime, input)]));
    const results = await session.run(feeds, fetches);
    const outputs = fetches.map((name) => fromOrt(name, results[name] as Ort.Tensor));
    const bytes = outputs.reduce((sum, output) => sum + byteLength(output), 0);
    if (bytes > Number(outputBytesMax)) {
      tell({ kind: 'error', id, reason: 'size', message: `the outputs have ${bytes} bytes` });
    } else {
      tell({ kind: 'result', id, outputs });
    }
  } catch (error) {
    tell({ kind: 'error', id, reason: 'run', message: String(error) });
  }
}

function toOrt(runtime: typeof Ort, { type, shape, data }: Tensor): Ort.Tensor {
  return new runtime.Tensor(ORT_TYPES[type] as 'float32', data as Float32Array, shape);
}

function fromOrt(name: string, { type, dims, data }: Ort.Tensor): Tensor {
  const dataType = DATA_TYPES.get(type);
  if (dataType === undefined) throw new Error(`output ${name} has the type ${type}`);
  const elements = data as Tensor['data'];
  const plain =
    dataType === 'FP16' && ArrayBuffer.isView(elements)
      ? new Uint16Array(elements.buffer, elements.byteOffset, elements.length)
      : elements;
  return { name, type: dataType, shape: [...dims], data: plain };
}

function describe(value: Ort.InferenceSession.ValueMetadata): SessionValue {
  if (!value.isTensor) return { name: value.name, shape: [] };
  return { name: value.name, type: DATA_TYPES.get(value.type) ?? value.type, shape: [...value.shape] };
}

function tell(message: HostMessage): void {
  process.send?.(message);
}
