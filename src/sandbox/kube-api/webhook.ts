/** What Istio's validating webhook has against a VirtualService or DestinationRule: the rejections that a tool can run into. */
import { childOf, isList, isObject, type Json, type JsonObject, numberAt, objectAt, textAt } from './json.ts';

const items = (value: Json | undefined, key: string): readonly JsonObject[] => {
  const found = childOf(value, key);
  return isList(found) ? found.filter(isObject) : [];
};
const has = (value: JsonObject, key: string): boolean => childOf(value, key) !== undefined;

/** null: no objection. */
export function rejectVirtualService(object: JsonObject): string | null {
  const spec = objectAt(object, 'spec');
  const hosts = childOf(spec, 'hosts');
  if (isList(hosts) && new Set(hosts).size < hosts.length) return 'duplicate hosts in virtual service';
  for (const rule of items(spec, 'http')) {
    const objection = httpRule(rule) ?? weights(rule);
    if (objection !== null) return objection;
  }
  for (const rule of [...items(spec, 'tcp'), ...items(spec, 'tls')]) {
    const objection = weights(rule);
    if (objection !== null) return objection;
  }
  return null;
}

function httpRule(rule: JsonObject): string | null {
  if (has(rule, 'mirror') && has(rule, 'mirrors')) return 'HTTP route cannot contain both mirror and mirrors';
  const routes = items(rule, 'route').length > 0;
  if (has(rule, 'redirect') && routes) return 'HTTP route cannot contain both route and redirect';
  if (has(rule, 'delegate'))
    return routes ? `root HTTP route ${textAt(rule, 'name') ?? ''} must not specify route` : null;
  if (!routes && !has(rule, 'redirect') && !has(rule, 'directResponse'))
    return 'HTTP route, redirect or direct_response is required';
  const retries = objectAt(rule, 'retries');
  if (childOf(retries, 'attempts') === 0 && (has(retries, 'perTryTimeout') || has(retries, 'retryOn')))
    return 'http retry policy configured when attempts are set to 0 (disabled)';
  const mirrored = numberAt(objectAt(rule, 'mirrorPercentage'), 'value') ?? 0;
  if (mirrored > 100) return 'mirror percentage must have a max value of 100';
  if (has(rule, 'fault') && Object.keys(objectAt(rule, 'fault')).length === 0)
    return 'HTTP fault injection must have an abort and/or a delay';
  return null;
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
  const names = items(spec, 'subsets').map((subset) => textAt(subset, 'name') ?? '');
  if (names.some((name) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))) return 'subset name is invalid';
  if (new Set(names).size < names.length) return 'duplicate subset names';
  const policy = childOf(spec, 'trafficPolicy');
  if (isObject(policy) && Object.keys(policy).length === 0) return 'traffic policy must have at least one field';
  return null;
}
