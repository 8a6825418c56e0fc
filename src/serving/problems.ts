import { defineProblems } from '../kernel/problem.ts';

export const servingProblems = defineProblems('serving', {
  invalid_input: {
    status: 422,
    title: 'The input does not fit the model',
    help: 'The detail names the input and what is wrong with it. GET /v2/models/{model} tells the names, types and shapes that a model takes.',
  },
  unknown_model: {
    status: 404,
    title: 'There is no such model to serve',
    help: 'No model of this name, or no such version or alias of it. Without a version or an alias, the alias "production" is meant.',
  },
  no_default_model: {
    status: 404,
    title: 'There is no default model',
    help: 'POST /predict serves the model that the configuration names as default; none is named. Use /projects/{project}/models/{model}/predict.',
  },
  malformed_json: {
    status: 400,
    title: 'The body is not acceptable JSON',
    help: 'Bodies are strict JSON in UTF-8, without duplicate keys. The detail says where the text stops being acceptable.',
  },
  binary_tensors: {
    status: 400,
    title: 'Binary tensors are not supported',
    help: 'Send the data of every tensor as JSON, without the header inference-header-content-length and without shared memory.',
  },
  overloaded: {
    status: 503,
    title: 'Too many requests wait for this model',
    help: 'The queue of the model is full. Try again after the time in the retry-after header.',
  },
  run_failed: {
    status: 422,
    title: 'The model could not compute this input',
    help: 'The input has the right types and shapes, but an operator of the model refused it, for example an index beyond a table. The operator log has the reason.',
  },
  deadline_exceeded: {
    status: 504,
    title: 'The model took too long',
    help: 'The prediction did not end within the deadline, so its process was killed and restarted. Send a smaller input, or have the deadline raised.',
  },
  model_killed: {
    status: 503,
    title: 'The model process ended during the prediction',
    help: 'It crashed or exceeded its memory limit, and was restarted. Trying again is safe; if it happens again, the model or the input is at fault.',
  },
  model_unavailable: {
    status: 503,
    title: 'The model is out of service for a moment',
    help: 'Its process failed too often within a minute. It is started again when the time in the retry-after header has passed.',
  },
  model_refused: {
    status: 500,
    title: 'The model cannot be loaded',
    help: 'ONNX Runtime refuses the artifact. The operator log has its words; export the model again or with another operator set.',
  },
  signature_mismatch: {
    status: 500,
    title: 'The model is not the one that was registered',
    help: 'The inputs or outputs of the loaded model differ from those in the registry. Register the artifact again.',
  },
  unusable_output: {
    status: 500,
    title: 'The answer of the model cannot be sent',
    help: 'An output is larger than the limit, or holds NaN or an infinity, which JSON cannot carry.',
  },
  runtime_missing: {
    status: 500,
    title: 'ONNX Runtime is not installed',
    help: 'The native part of onnxruntime-node is missing. Install with `onnxruntime-node-install=skip` in .npmrc: its install script downloads GPU libraries and fails without them, although the CPU runtime is in the package.',
  },
});

/** What a prediction may answer, for the route table. */
export const runProblems = [
  servingProblems.invalid_input,
  servingProblems.unknown_model,
  servingProblems.run_failed,
  servingProblems.overloaded,
  servingProblems.deadline_exceeded,
  servingProblems.model_killed,
  servingProblems.model_unavailable,
  servingProblems.model_refused,
  servingProblems.signature_mismatch,
  servingProblems.unusable_output,
  servingProblems.runtime_missing,
];
