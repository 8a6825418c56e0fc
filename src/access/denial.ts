import type { DecisionCode } from './decide.ts';

/** Why a caller was denied, for the audit entry: the cause of `access.denied`, which never leaves the server. */
export class Denial extends Error {
  override readonly name = 'Denial';
  readonly code: DecisionCode;

  constructor(code: DecisionCode) {
    super(code);
    this.code = code;
  }
}
