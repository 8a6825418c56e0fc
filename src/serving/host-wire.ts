import type { Tensor } from './tensors.ts';

/** Parent to child, after the model has gone through the pipe. */
export interface RunRequest {
  readonly id: number;
  readonly inputs: readonly Tensor[];
}

/** Child to parent. */
export type HostMessage =
  | {
      readonly kind: 'ready';
      readonly inputs: readonly SessionValue[];
      readonly outputs: readonly SessionValue[];
    }
  | { readonly kind: 'failed'; readonly reason: 'runtime' | 'model'; readonly message: string }
  | { readonly kind: 'result'; readonly id: number; readonly outputs: readonly Tensor[] }
  | {
      readonly kind: 'error';
      readonly id: number;
      readonly reason: 'run' | 'size';
      readonly message: string;
    };

/** An input or output as the loaded session tells it. No type: it is not a tensor, and it is not served. */
export interface SessionValue {
  readonly name: string;
  readonly type?: string;
  readonly shape: readonly (number | string)[];
}
