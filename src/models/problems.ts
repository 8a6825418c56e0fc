import { defineProblems } from '../kernel/problem.ts';

export const modelsProblems = defineProblems('models', {
  model_rejected: {
    status: 422,
    title: 'The model was refused',
    help: 'The file is not a model that this keep may hold; the member `findings` says what was found. Nothing was stored. Export the model again as a single ONNX file that uses the standard operators alone.',
  },
  artifact_too_large: {
    status: 413,
    title: 'The model is too large',
    help: 'The file is larger than the keep accepts: an ONNX file is one protobuf message, which has less than 2 GiB. Nothing was stored.',
  },
  inspection_failed: {
    status: 422,
    title: 'The model could not be judged',
    help: 'Reading the structure of the file takes more time or memory than the inspection is given, or ended it. What cannot be judged is not accepted, and nothing was stored. Real models are far below these limits; export the model again, and report a file that you believe to be sound.',
  },
  busy: {
    status: 503,
    title: 'Too many models are being inspected',
    help: 'Models are inspected one at a time, and too many wait. Nothing was stored; try again after the time that Retry-After names.',
  },
  artifact_corrupt: {
    status: 500,
    title: 'A stored model is damaged',
    help: 'The stored bytes of the version do not decrypt to the artifact that was registered, so it is not served. Restore the blob from a backup, or remove the version and add the model again.',
  },
  artifact_unreadable: {
    status: 500,
    title: 'A stored model cannot be read',
    help: 'The operating system refused to read the blob of the version. Mend the permissions or the disk; nothing says that the bytes are damaged.',
  },
  name_invalid: {
    status: 422,
    title: 'The name is not allowed',
    help: 'Names of projects, models and aliases are 1 to 63 lower-case letters, digits, - and _, beginning and ending with a letter or digit. An alias is not a number alone, since numbers name versions.',
  },
  project_exists: {
    status: 409,
    title: 'The project exists already',
    help: 'A project of this name is there. Use it, or choose another name.',
  },
  project_unknown: {
    status: 404,
    title: 'There is no such project',
    help: 'Create the project first, or correct the name.',
  },
  model_unknown: {
    status: 404,
    title: 'There is no such model',
    help: 'Adding a first version makes the model; or correct the name.',
  },
  version_unknown: {
    status: 404,
    title: 'There is no such version',
    help: 'The model has no version of this number. Numbers are never used twice, so it may have been removed.',
  },
  alias_unknown: {
    status: 404,
    title: 'There is no such alias',
    help: 'The model has no alias of this name.',
  },
  version_in_use: {
    status: 409,
    title: 'An alias points at the version',
    help: 'A version that an alias points at may be served. Move or remove the alias first.',
  },
});
