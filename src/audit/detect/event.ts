import type { IndexedEntry } from '../audit-log.ts';
import type { Entry } from '../entry.ts';

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
  /** Tag of the presented secret (`detail.secretTag`). */
  readonly secretTag: string;
  /** Tag of the model's input (`detail.inputTag`). */
  readonly inputTag: string;
  /** Attempts that the entry stands for: more than one where a flood was coalesced (`detail.count`). */
  readonly weight: number;
}

/** Where an address belongs: a network prefix, an autonomous system, whatever the operator can tell. */
export type NetworkOf = (address: string) => string;

/** IPv4 by /24, IPv6 by /48; an address in neither form is its own network. */
export function networkOf(address: string): string {
  const mapped = address.startsWith('::ffff:') ? address.slice(7) : address;
  const dot = mapped.lastIndexOf('.');
  if (dot > 0 && !mapped.includes(':')) return `${mapped.slice(0, dot)}.0/24`;
  if (!mapped.includes(':')) return address;
  const [head = ''] = mapped.split('::', 1);
  const groups = [...head.split(':').filter((group) => group !== ''), '0', '0', '0'].slice(0, 3);
  return `${groups.map((group) => group.replace(/^0+(?=.)/, '').toLowerCase()).join(':')}::/48`;
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

/** Makes events of entries. Holds nothing but the last time it parsed. */
export function createEventReader(network: NetworkOf = networkOf): (indexed: IndexedEntry) => DetectionEvent {
  let text = '';
  let time = 0;
  return ({ index, entry }) => {
    if (entry.time !== text) {
      text = entry.time;
      time = Date.parse(text);
    }
    const { principal, detail } = entry;
    const id = principal.id ?? '';
    const claim = id === '' ? textOf(detail?.['claimTag']) : '';
    const who = claim === '' ? id : `?${claim}`;
    const address = entry.source?.address ?? '';
    const count = detail?.['count'];
    const model = modelOf(entry.resource);
    return {
      index,
      time,
      flags: flagsOf(entry),
      entry,
      principal: who,
      address,
      network: address === '' ? '' : network(address),
      pair: `${who} ${address}`,
      credential: entry.credential?.id ?? '',
      model,
      use: model === '' ? '' : `${who} ${model}`,
      secretTag: textOf(detail?.['secretTag']),
      inputTag: textOf(detail?.['inputTag']),
      weight: typeof count === 'number' && count > 1 ? count : 1,
    };
  };
}

function flagsOf({ phase, principal, reason, decision, action, http }: Entry): number {
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

function modelOf(resource: string | undefined): string {
  if (resource === undefined || !resource.startsWith('/projects/')) return '';
  const models = resource.indexOf('/models/', 10);
  if (models < 0) return '';
  const end = resource.indexOf('/', models + 8);
  return end < 0 ? resource : resource.slice(0, end);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
