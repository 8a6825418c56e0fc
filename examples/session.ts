import { InferenceSession, Tensor } from 'onnxruntime-node';

/** Runs a model on one input tensor in this process: for training scripts and tests, on files made here. */
export async function run(
  model: Uint8Array,
  name: string,
  values: Float32Array | readonly string[],
  shape: readonly number[],
): Promise<Readonly<Record<string, Tensor>>> {
  const session = await InferenceSession.create(model, { logSeverityLevel: 3 });
  try {
    const tensor =
      values instanceof Float32Array
        ? new Tensor('float32', values, shape)
        : new Tensor('string', [...values], shape);
    return await session.run({ [name]: tensor });
  } finally {
    await session.release();
  }
}
