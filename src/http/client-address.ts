import { BlockList, isIP } from 'node:net';

/** Says where a request comes from: the socket's peer, or what a trusted proxy says of it. */
export type ClientAddress = (peer: string, forwardedFor: string | undefined) => string;

/**
 * `trustedProxies` are addresses (`10.0.0.7`) or networks (`10.0.0.0/8`); none by default, and then `x-forwarded-for` is
 * never read. Of its list the right-most address that is not itself a trusted proxy counts: everything to the left of
 * that was written by someone who could lie. Throws a TypeError on anything that is not an address or a network.
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  if (trustedProxies.length === 0) return (peer) => plain(peer);
  const trusted = new BlockList();
  for (const text of trustedProxies) addTo(trusted, text);
  const trusts = (address: string): boolean => trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  return (peer, forwardedFor) => {
    let client = plain(peer);
    const hops = forwardedFor?.split(',') ?? [];
    while (isIP(client) !== 0 && trusts(client)) {
      const hop = plain(hops.pop()?.trim() ?? '');
      if (isIP(hop) === 0) break;
      client = hop;
    }
    return client;
  };
}

/** Claims that `text` is an address or a network in CIDR form. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= (family === 6 ? 128 : 32));
}

function addTo(list: BlockList, text: string): void {
  if (!isNetwork(text)) throw new TypeError(`${text} is not an address or a network`);
  const [address = '', prefix] = text.split('/');
  const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
  if (prefix === undefined) list.addAddress(address, family);
  else list.addSubnet(address, Number(prefix), family);
}

/** A dual-stack socket shows an IPv4 peer as `::ffff:10.0.0.7`; rules and entries say `10.0.0.7`. */
function plain(address: string): string {
  return address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
}
