import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { servingProblems } from './problems.ts';

/** Where the child finds ONNX Runtime, and the folders it must be able to read for that. */
export interface RuntimeLocation {
  /** File URL of its entry. */
  readonly entry: string;
  readonly folders: readonly string[];
}

/** Throws `serving.runtime_missing`. It resolves paths and loads nothing: the server itself never runs native code. */
export function locateRuntime(from: string = import.meta.url): RuntimeLocation {
  try {
    const entry = createRequire(from).resolve('onnxruntime-node');
    const common = createRequire(entry).resolve('onnxruntime-common');
    return {
      entry: pathToFileURL(entry).href,
      folders: [packageFolder(entry, 'onnxruntime-node'), packageFolder(common, 'onnxruntime-common')],
    };
  } catch (error) {
    throw runtimeMissing(error);
  }
}

export function runtimeMissing(cause: unknown): Error {
  return servingProblems.runtime_missing(
    'onnxruntime-node cannot be loaded; install it with `onnxruntime-node-install=skip` in .npmrc',
    { cause },
  );
}

function packageFolder(file: string, name: string): string {
  const end = `${sep}node_modules${sep}${name}${sep}`;
  const at = file.lastIndexOf(end);
  return at === -1 ? dirname(file) : file.slice(0, at + end.length - 1);
}
