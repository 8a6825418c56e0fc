import type { IndexedEntry } from '../audit-log.ts';
import type { Entry } from '../entry.ts';
import { type DetectionEvent, FLAG, flagsOf } from './event.ts';

/** Where an address belongs: a network prefix, an autonomous system, whatever the operator can tell. */
export type NetworkOf = (address: string) => string;

/** Makes events of entries. Holds nothing that an entry could not say again. */
export function createEventReader(network: NetworkOf = networkOf): (indexed: IndexedEntry) => DetectionEvent {
  const readTime = createTimeReader();
  const recall = createRecall(network);
  return ({ index, entry }) => {
    const { detail } = entry;
    const flags = flagsOf(entry);
    // A flood of refusals must not drive out those who come in every day.
    const keys = (flags & FLAG.authenticated) === 0 ? keysOf(entry, network) : recall(entry);
    const time = readTime(entry.time);
    const count = detail?.['count'];
    return {
      index,
      time,
      flags,
      entry,
      principal: keys.principal,
      address: keys.address,
      network: keys.network,
      pair: keys.pair,
      credential: keys.credential,
      model: keys.model,
      use: keys.use,
      circle: keys.circle,
      secretTag: textOf(detail?.['secretTag']),
      inputTag: textOf(detail?.['inputTag']),
      inputs: undefined,
      isNearBoundary: detail?.['nearBoundary'] === true,
      weight: typeof count === 'number' && count > 1 ? count : 1,
      mark: { time, index, address: keys.address },
    };
  };
}

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

/** By what rules remember. */
interface Keys
  extends Pick<
    DetectionEvent,
    'principal' | 'address' | 'network' | 'pair' | 'credential' | 'model' | 'use' | 'circle'
  > {
  readonly resource: string | undefined;
}

function keysOf(entry: Entry, network: NetworkOf): Keys {
  const { principal: who, resource, detail } = entry;
  const id = who.id ?? '';
  const claim = id === '' ? textOf(detail?.['claimTag']) : '';
  const principal = claim === '' ? id : `?${claim}`;
  const address = entry.source?.address ?? '';
  const from = address === '' ? '' : network(address);
  const model = modelOf(resource);
  return {
    principal,
    address,
    network: from,
    pair: `${principal} ${address}`,
    credential: entry.credential?.id ?? '',
    model,
    use: model === '' ? '' : `${principal} ${model}`,
    circle: model === '' || from === '' ? '' : `${from} ${model}`,
    resource,
  };
}

const RECALL_MAX = 50_000;

/**
 * The keys of an entry, the very same texts as for the entry of the same principal before if it came from the same address
 * with the same credential for the same resource. What rules remember is found sooner by a text that was hashed before, and
 * that the map itself holds, than by an equal one.
 */
function createRecall(network: NetworkOf): (entry: Entry) => Keys {
  const last = new Map<string, Keys>();
  return (entry) => {
    const { id } = entry.principal;
    if (id === undefined) return keysOf(entry, network);
    const known = last.get(id);
    if (
      known !== undefined &&
      known.resource === entry.resource &&
      known.address === (entry.source?.address ?? '') &&
      known.credential === (entry.credential?.id ?? '')
    )
      return known;
    const keys = keysOf(entry, network);
    if (known === undefined && last.size >= RECALL_MAX) last.clear();
    last.set(keys.principal, keys);
    return keys;
  };
}

const ISO_LENGTH = '2026-01-01T00:00:00.000Z'.length;

/** As `Date.parse` reads it, which costs several times as much: nearly every entry is of the same day as the one before. */
function createTimeReader(): (text: string) => number {
  let day = '';
  let midnight = Number.NaN;
  return (text) => {
    if (text.length !== ISO_LENGTH || text[ISO_LENGTH - 1] !== 'Z') return Date.parse(text);
    if (day === '' || !text.startsWith(day)) {
      day = text.slice(0, 11);
      midnight = Date.parse(`${day}00:00:00.000Z`);
    }
    const minutes = twoDigits(text, 11) * 60 + twoDigits(text, 14);
    const thousands = twoDigits(text, 17) * 1000 + twoDigits(text, 20) * 10 + text.charCodeAt(22) - 48;
    return midnight + minutes * 60_000 + thousands;
  };
}

function twoDigits(text: string, at: number): number {
  return (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48;
}

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
