/** What Istio's validating webhook has against a VirtualService or DestinationRule: the rejections that a tool can run into. */
import { childOf, isList, isObject, type JsonObject, numberAt, objectAt, textAt } from './json.ts';
import { has, items, rejectHttpRule } from './webhook-route.ts';

/** null: no objection. */
export function rejectVirtualService(object: JsonObject): string | null {
  const spec = objectAt(object, 'spec');
  const hosts = childOf(spec, 'hosts');
  // Without hosts it is one that another VirtualService delegates to.
  const delegate = !isList(hosts) || hosts.length === 0;
  const objection = delegate ? rejectDelegate(spec) : rejectHosts(spec, hosts.map(String));
  if (objection !== null) return objection;
  for (const rule of items(spec, 'http')) {
    const found = rejectHttpRule(rule, delegate) ?? weights(rule);
    if (found !== null) return found;
  }
  for (const rule of [...items(spec, 'tcp'), ...items(spec, 'tls')]) {
    const found = weights(rule);
    if (found !== null) return found;
  }
  return null;
}

/** Rules that no request reaches, and what is out of date: accepted, with a warning each. */
export function warnVirtualService(object: JsonObject): readonly string[] {
  const warnings: string[] = [];
  const seen = new Map<string, string>();
  let open = false;
  for (const [i, rule] of items(objectAt(object, 'spec'), 'http').entries()) {
    const own = textAt(rule, 'name');
    const name = own === undefined ? `#${i}` : JSON.stringify(own);
    if (has(rule, 'mirrorPercent') || has(rule, 'mirror_percent'))
      warnings.push('using deprecated setting "mirrorPercent", use "mirrorPercentage" instead');
    const matches = items(rule, 'match');
    if (matches.length === 0) {
      if (open) warnings.push(`virtualService rule ${name} not used (only the last rule can have no matches)`);
      open = true;
      continue;
    }
    let used = matches.length;
    for (const [at, match] of matches.entries()) {
      const key = sorted(match);
      const before = seen.get(key);
      if (before === undefined) {
        seen.set(key, name);
        continue;
      }
      used -= 1;
      const which = textAt(match, 'name');
      const called = which === undefined ? `#${at}` : JSON.stringify(which);
      warnings.push(
        `virtualService rule ${name} match ${called} is not used (duplicate/overlapping match in rule ${before})`,
      );
    }
    if (used === 0) warnings.push(`virtualService rule ${name} not used (all matches used by prior rules)`);
  }
  return warnings;
}

/** The same text for the same match, whatever the order of its fields; its name does not count. */
const sorted = (match: JsonObject): string =>
  JSON.stringify(match, (key, value: unknown) => {
    if (key === 'name' && typeof value === 'string') return undefined;
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a.localeCompare(b)))
      : value;
  });

function rejectDelegate(spec: JsonObject): string | null {
  if (items(spec, 'tls').length > 0 || items(spec, 'tcp').length > 0)
    return 'delegate virtual service must not specify tls or tcp rules';
  const gateways = childOf(spec, 'gateways');
  return isList(gateways) && gateways.length > 0 ? 'delegate virtual service must have no gateways specified' : null;
}

function rejectHosts(spec: JsonObject, hosts: readonly string[]): string | null {
  if (new Set(hosts).size < hosts.length) return 'duplicate hosts in virtual service';
  const gateways = childOf(spec, 'gateways');
  const forMesh = !isList(gateways) || gateways.length === 0 || gateways.includes('mesh');
  if (forMesh && hosts.includes('*'))
    return 'wildcard host * is not allowed for virtual services bound to the mesh gateway';
  const rules = [...items(spec, 'http'), ...items(spec, 'tcp'), ...items(spec, 'tls')];
  return rules.length === 0 ? 'http, tcp or tls must be provided in virtual service' : null;
}

function weights(rule: JsonObject): string | null {
  const routes = items(rule, 'route');
  const all = routes.map((route) => numberAt(route, 'weight') ?? 0);
  const negative = all.find((weight) => weight < 0);
  if (negative !== undefined) return `weight ${negative} < 0`;
  if (routes.length > 1 && all.reduce((sum, weight) => sum + weight, 0) === 0) return 'total destination weight = 0';
  return null;
}

/** null: no objection. */
export function rejectDestinationRule(object: JsonObject): string | null {
  const spec = objectAt(object, 'spec');
  const subsets = items(spec, 'subsets');
  const names = subsets.map((subset) => textAt(subset, 'name') ?? '');
  if (names.some((name) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))) return 'subset name is invalid';
  if (new Set(names).size < names.length) return 'duplicate subset names';
  for (const holder of [spec, ...subsets]) {
    const policy = childOf(holder, 'trafficPolicy');
    const objection = isObject(policy) ? rejectPolicy(policy) : null;
    if (objection !== null) return objection;
  }
  return null;
}

function rejectPolicy(policy: JsonObject): string | null {
  if (Object.keys(policy).length === 0) return 'traffic policy must have at least one field';
  const outliers = objectAt(policy, 'outlierDetection');
  for (const field of ['maxEjectionPercent', 'minHealthPercent']) {
    const share = numberAt(outliers, field) ?? 0;
    if (share < 0 || share > 100) return `outlier detection: ${field}: ${share} is not in range 0..100`;
  }
  const pool = objectAt(policy, 'connectionPool');
  if (has(policy, 'connectionPool') && !has(pool, 'http') && !has(pool, 'tcp'))
    return 'connection pool must have at least one field';
  const http = objectAt(pool, 'http');
  const limits = [...Object.entries(http), ...Object.entries(objectAt(pool, 'tcp'))];
  const negative = limits.find(([, value]) => typeof value === 'number' && value < 0);
  if (negative !== undefined) return `${negative[0]} must be non-negative`;
  if (http['useClientProtocol'] === true && http['h2UpgradePolicy'] === 'UPGRADE')
    return 'use client protocol must not be set when H2UpgradePolicy is set to upgrade';
  return null;
}
