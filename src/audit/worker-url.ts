import { extname } from 'node:path';

/** A worker's module beside `base`, with the extension of `base`: `.ts` from the source tree, `.js` from the build. */
export function workerUrl(name: string, base: string): URL {
  return new URL(`./${name}${extname(new URL(base).pathname)}`, base);
}
