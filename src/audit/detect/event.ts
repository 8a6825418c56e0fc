import type { Entry } from '../entry.ts';
import type { Inputs } from './inputs.ts';
import type { Mark } from './marks.ts';

/** What an entry is to the rules; one entry may be several. */
export const FLAG = {
  /** A presented secret was wrong, or may have been: a guess. */
  guess: 1,
  /** A credential was refused, for whatever reason. */
  refused: 2,
  /** A principal proved who it is, whatever came of its request. */
  authenticated: 4,
  /** The authorization said no. */
  denied: 8,
  /** The resource was not there, or not for the caller. */
  missed: 16,
  /** A model answered. */
  invoked: 32,
  /** The keep changed, or spoke of itself. */
  administered: 64,
  /** An authenticated principal that was refused at this address since it last came in there. */
  returned: 128,
} as const;

export type Flag = keyof typeof FLAG;

/** An entry as the rules see it. Texts are empty where the entry does not say. */
export interface DetectionEvent {
  readonly index: number;
  /** Milliseconds since 1970 UTC. */
  readonly time: number;
  /** `returned` is set by the detector, which remembers. */
  flags: number;
  readonly entry: Entry;
  /** Id of the principal; for a refusal the claimed one: its id if it exists, else `?` and the tag of its name. */
  readonly principal: string;
  readonly address: string;
  readonly network: string;
  /** Principal and address. */
  readonly pair: string;
  readonly credential: string;
  /** `/projects/{project}/models/{model}`. */
  readonly model: string;
  /** Principal and model. */
  readonly use: string;
  /** Network and model. */
  readonly circle: string;
  /** Tag of the presented secret (`detail.secretTag`). */
  readonly secretTag: string;
  /** Tag of the model's input (`detail.inputTag`). */
  readonly inputTag: string;
  /** The answer was near the boundary between two classes (`detail.nearBoundary`). */
  readonly isNearBoundary: boolean;
  /** What the principal has sent to the model, with this; set by the detector. */
  inputs: Inputs | undefined;
  /** Attempts that the entry stands for: more than one where a flood was coalesced (`detail.count`). */
  readonly weight: number;
  /** Time, index and address, for rules to keep: the event itself is soon garbage. */
  readonly mark: Mark;
}

/** Of the reasons for a refusal, those where somebody may be trying secrets. */
const GUESSES: ReadonlySet<string> = new Set(
  [
    'wrong_password',
    'no_password',
    'unknown_principal',
    'disabled_principal',
    'unknown_key',
    'bad_checksum',
    'wrong_owner',
    'throttled_account',
  ].map((reason) => `identity.${reason}`),
);

/** Flags of an entry, but for `returned`. */
export function flagsOf({ phase, principal, reason, decision, action, http }: Entry): number {
  // What came of it stands in the end; the same attempt must not count twice.
  if (phase === 'start') return 0;
  if (reason.startsWith('identity.') && decision !== 'allow' && principal.kind === 'anonymous') {
    return FLAG.refused | (GUESSES.has(reason) ? FLAG.guess : 0);
  }
  const known = principal.kind === 'user' || principal.kind === 'service_account';
  let flags = known ? FLAG.authenticated : 0;
  const status = http?.status;
  if (decision === 'deny' && reason.startsWith('access.')) flags |= FLAG.denied | FLAG.missed;
  else if (status === 404 || status === 403) flags |= FLAG.missed;
  if (action === 'model.invoke') {
    if (known && decision === 'allow') flags |= FLAG.invoked;
  } else if (action !== DETECTION_ALERT) flags |= FLAG.administered;
  return flags;
}

/** The action of the entry that an alert becomes. Rules never see it. */
export const DETECTION_ALERT = 'detection.alert';
