/**
 * Which addresses a webhook may reach. Its URL is written by whoever writes plans, so what only this process can reach (the
 * cluster's own network, the cloud's metadata, itself) is out of bounds unless the installation names it.
 */
import { BlockList, isIP } from 'node:net';

/** Special-purpose ranges of IPv4 (RFC 6890 and later), and multicast. */
const REFUSED_V4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
] as const;
/** Networks of one's own: a host that the installation names may be there. */
const PRIVATE_V4 = ['10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16'] as const;
const PRIVATE_V6 = ['fc00::/7'] as const;
/** Within the only range of IPv6 that is routed: ranges that carry other addresses inside, and those for examples. */
const REFUSED_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'] as const;

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', bits = ''] = range.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

const refusedV4 = blockList(REFUSED_V4);
const refusedV6 = blockList(REFUSED_V6);
const routedV6 = blockList(['2000::/3']);
const ownNetworks = blockList([...PRIVATE_V4, ...PRIVATE_V6]);

const within = (list: BlockList, address: string): boolean =>
  list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');

/** Out in the internet, as far as the address tells. Addresses of IPv4 in the clothes of IPv6 are none that is routed. */
const isPublic = (address: string): boolean =>
  isIP(address) === 6
    ? within(routedV6, address) && !within(refusedV6, address)
    : isIP(address) === 4 && !within(refusedV4, address);

export interface Allowed {
  /** "10.1.2.3/32", "fd00::/8": whatever they name is allowed. */
  readonly ranges: readonly string[];
  /** ".production.svc": hosts below it may be in networks of one's own, but never loopback, link-local or metadata. */
  readonly suffixes: readonly string[];
}

export interface Bounds {
  /** May this address be connected to, as what `host` resolved to (or as the literal that it is)? */
  address(address: string, host: string): boolean;
  /** Is this host one that the installation names? Then it may be asked without TLS. */
  isNamed(host: string): boolean;
}

export function boundsOf({ ranges, suffixes }: Allowed): Bounds {
  const allowed = blockList(ranges);
  const below = (host: string): boolean => {
    const name = host.toLowerCase().replace(/\.$/, '');
    return suffixes.some(
      (suffix) => name === suffix.replace(/^\./, '') || name.endsWith(`.${suffix.replace(/^\./, '')}`),
    );
  };
  return {
    address: (address, host) =>
      isPublic(address) || within(allowed, address) || (below(host) && within(ownNetworks, address)),
    isNamed: (host) => below(host) || (isIP(host) !== 0 && within(allowed, host)),
  };
}

/** "10.0.0.0/8" and ".svc.cluster.local" apart; what is neither is left over. */
export function parseAllowed(entries: readonly string[]): Allowed & { readonly wrong: readonly string[] } {
  const isRange = (entry: string): boolean => {
    const [address = '', bits = '', ...rest] = entry.split('/');
    const most = isIP(address) === 6 ? 128 : 32;
    return isIP(address) !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most;
  };
  const isName = (entry: string): boolean => /^\.?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/i.test(entry) && isIP(entry) === 0;
  return {
    ranges: entries.filter(isRange),
    suffixes: entries.filter((entry) => !isRange(entry) && isName(entry)).map((entry) => entry.toLowerCase()),
    wrong: entries.filter((entry) => !isRange(entry) && !isName(entry)),
  };
}
