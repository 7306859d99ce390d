/** From an address to the network that a limit of callers without a name is for. */
import { isIP } from 'node:net';

/** Whom a limit is for: of IPv6 the first 64 bits, for one host may have all the rest of them. */
export function networkOf(address: string | null): string {
  if (address === null || isIP(address) !== 6) return address ?? 'unknown';
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const mapped = /^(?:::|(?:0+:){5})ffff:(\d+(?:\.\d+){3})$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  const groups = (text: string | undefined): readonly string[] =>
    text === undefined || text === '' ? [] : text.split(':');
  const [before, after] = [groups(head), groups(tail)];
  // An IPv4 address at the end stands for two groups.
  const wide = (some: readonly string[]): number => some.length + (some.at(-1)?.includes('.') ? 1 : 0);
  const zeros = Array.from({ length: tail === undefined ? 0 : 8 - wide(before) - wide(after) }, () => '0');
  const first = [...before, ...zeros, ...after].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${first.join(':')}::/64`;
}
