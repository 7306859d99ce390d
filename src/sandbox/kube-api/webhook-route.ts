/** What Istio's validating webhook has against one HTTP rule of a VirtualService. */
import { childOf, isList, isObject, type Json, type JsonObject, numberAt, objectAt, textAt } from './json.ts';

export const items = (value: Json | undefined, key: string): readonly JsonObject[] => {
  const found = childOf(value, key);
  return isList(found) ? found.filter(isObject) : [];
};
export const has = (value: JsonObject, key: string): boolean => childOf(value, key) !== undefined;

/** A null is a field that is not there. */
const set = (value: JsonObject, key: string): boolean => (childOf(value, key) ?? null) !== null;

type Objection = string | null;

/** null: no objection. `delegate`: the object has no hosts, so that another one may point to it. */
export function rejectHttpRule(rule: JsonObject, delegate: boolean): Objection {
  return (
    conflict(rule, delegate) ??
    matches(rule) ??
    headerEdits(rule) ??
    items(rule, 'route').reduce<Objection>((found, route) => found ?? headerEdits(route), null) ??
    fault(rule) ??
    mirrors(rule) ??
    retries(rule) ??
    subsets(rule)
  );
}

function conflict(rule: JsonObject, delegate: boolean): Objection {
  const routes = items(rule, 'route').length > 0;
  const name = textAt(rule, 'name') ?? '';
  if (has(rule, 'delegate')) {
    if (delegate) return 'delegate HTTP route cannot contain delegate';
    if (has(rule, 'redirect')) return `root HTTP route ${name} must not specify redirect`;
    if (has(rule, 'directResponse')) return `root HTTP route ${name} must not specify direct_response`;
    return has(rule, 'route') ? `root HTTP route ${name} must not specify route` : null;
  }
  if (has(rule, 'redirect')) {
    if (routes) return 'HTTP route cannot contain both route and redirect';
    if (has(rule, 'fault')) return 'HTTP route cannot contain both fault and redirect';
    if (has(rule, 'rewrite')) return 'HTTP route rule cannot contain both rewrite and redirect';
    return has(rule, 'directResponse') ? 'HTTP route cannot contain both redirect and direct_response' : null;
  }
  if (has(rule, 'directResponse')) {
    if (routes) return 'HTTP route cannot contain both route and direct_response';
    if (has(rule, 'fault')) return 'HTTP route cannot contain both fault and direct_response';
    return has(rule, 'rewrite') ? 'HTTP route rule cannot contain both rewrite and direct_response' : null;
  }
  return routes ? null : 'HTTP route, redirect or direct_response is required';
}

/** RFC 9110: tokens. */
const HEADER_NAME = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/;
const KINDS = ['exact', 'prefix', 'regex'];

function matches(rule: JsonObject): Objection {
  const rooted = has(rule, 'delegate');
  for (const match of items(rule, 'match')) {
    for (const field of ['headers', 'withoutHeaders']) {
      for (const [name, value] of Object.entries(objectAt(match, field))) {
        if (name === '') return 'header name cannot be empty';
        if (!HEADER_NAME.test(name)) return `header name ${JSON.stringify(name)} is not a valid header name`;
        const objection = textMatch(value, field === 'headers' ? 'headers' : 'withoutHeaders', rooted, name);
        if (objection !== null) return objection;
      }
    }
    for (const field of ['uri', 'scheme', 'method', 'authority']) {
      const objection = textMatch(childOf(match, field), field, rooted, '');
      if (objection !== null) return objection;
    }
    for (const [name, value] of Object.entries(objectAt(match, 'queryParams'))) {
      const objection = textMatch(value, 'queryParams', rooted, name);
      if (objection !== null) return objection;
    }
  }
  return null;
}

function textMatch(value: Json | undefined, where: string, rooted: boolean, name: string): Objection {
  if (value === undefined) return null;
  if (!isObject(value)) return `header match ${name} cannot be null`;
  // One of the three: the object's protobuf has a oneof.
  if (KINDS.filter((kind) => has(value, kind)).length > 1) return `${where}: oneof is already set`;
  const regex = textAt(value, 'regex');
  if (regex === undefined) return null;
  if (rooted) return `${where === 'uri' ? 'url' : where} match does not support regex match for delegating`;
  if (regex === '') return `"${where}": must not be empty`;
  if (!compiles(regex)) return `"${where}": error parsing regexp: ${regex}`;
  return regex.length > 1024 ? `"${where}": regex is too large, max length allowed is 1024` : null;
}

/** By JavaScript's rules, which are near to RE2's: what only one of them takes is not told apart. */
function compiles(regex: string): boolean {
  try {
    new RegExp(regex.replace(/^\(\?[ims]+\)/, ''));
    return true;
  } catch {
    return false;
  }
}

function headerEdits(holder: JsonObject): Objection {
  for (const side of ['request', 'response']) {
    const edits = objectAt(objectAt(holder, 'headers'), side);
    const removed = childOf(edits, 'remove');
    const names = [
      ...Object.keys(objectAt(edits, 'add')),
      ...Object.keys(objectAt(edits, 'set')),
      ...(isList(removed) ? removed.map(String) : []),
    ];
    for (const name of names) {
      if (name === '') return 'header name cannot be empty';
      const authority = side === 'request' && /^(:authority|host)$/i.test(name);
      if (!authority && (name.startsWith(':') || /^host$/i.test(name)))
        return `invalid header ${JSON.stringify(name)}: header cannot have ":" prefix or be "host"`;
      if (!authority && !HEADER_NAME.test(name))
        return `header name ${JSON.stringify(name)} is not a valid header name`;
    }
  }
  return null;
}

const MILLISECOND = 'duration must be greater than 1ms';
const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** In milliseconds; null: no duration as protobuf writes it. */
function duration(text: string): number | null {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)];
  if (parts.length === 0 || parts.map(([part]) => part).join('') !== text) return null;
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (UNITS[unit ?? ''] ?? 0), 0);
}

function fault(rule: JsonObject): Objection {
  if (!has(rule, 'fault')) return null;
  const found = objectAt(rule, 'fault');
  if (!has(found, 'abort') && !has(found, 'delay')) return 'HTTP fault injection must have an abort and/or a delay';
  const abort = objectAt(found, 'abort');
  const delay = objectAt(found, 'delay');
  for (const part of [abort, delay]) {
    const share = numberAt(objectAt(part, 'percentage'), 'value') ?? 0;
    if (share < 0 || share > 100 || (share > 0 && share < 0.0001))
      return `percentage ${share} is neither 0.0, nor in range [0.0001, 100.0]`;
  }
  if (['httpStatus', 'grpcStatus', 'http2Error'].filter((kind) => has(abort, kind)).length > 1)
    return 'abort: oneof is already set';
  if (has(abort, 'http2Error')) return 'HTTP/2 abort fault injection not supported yet';
  const status = numberAt(abort, 'httpStatus');
  if (status !== undefined && (status < 200 || status > 600)) return `HTTP status ${status} is not in range 200-599`;
  const fixed = textAt(delay, 'fixedDelay');
  if (fixed !== undefined && (duration(fixed) ?? 0) < 1) return MILLISECOND;
  const whole = numberAt(delay, 'percent');
  return whole !== undefined && (whole < 0 || whole > 100) ? `percentage ${whole} is not in range 0..100` : null;
}

function mirrors(rule: JsonObject): Objection {
  if (has(rule, 'mirror') && has(rule, 'mirrors')) return 'HTTP route cannot contain both mirror and mirrors';
  const old = numberAt(rule, 'mirrorPercent') ?? numberAt(rule, 'mirror_percent') ?? 0;
  if (old > 100) return `mirror_percent must have a max value of 100 (it has ${old})`;
  const all = [rule['mirrorPercentage'], ...items(rule, 'mirrors').map((mirror) => mirror['percentage'])];
  for (const percentage of all) {
    const share = numberAt(percentage, 'value') ?? 0;
    if (share > 100) return `mirror percentage must have a max value of 100 (it has ${share.toFixed(6)})`;
    if (share < 0) return `mirror percentage must have a min value of 0 (it has ${share.toFixed(6)})`;
  }
  return null;
}

const RETRY_ON: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'envoy-ratelimited',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

function retries(rule: JsonObject): Objection {
  const found = objectAt(rule, 'retries');
  const attempts = numberAt(found, 'attempts') ?? 0;
  if (attempts < 0) return 'attempts cannot be negative';
  const configured = ['perTryTimeout', 'retryOn', 'retryRemoteLocalities'].some((field) => set(found, field));
  if (attempts === 0 && configured) return 'http retry policy configured when attempts are set to 0 (disabled)';
  for (const field of ['perTryTimeout', 'backoff']) {
    const text = textAt(found, field);
    if (text !== undefined && (duration(text) ?? 0) < 1) return MILLISECOND;
  }
  const timeout = textAt(rule, 'timeout');
  if (timeout !== undefined && duration(timeout) === null) return `invalid duration ${JSON.stringify(timeout)}`;
  const policies = (textAt(found, 'retryOn') ?? '').split(',').filter((policy) => policy !== '');
  const wrong = policies.find((policy) => !RETRY_ON.has(policy) && !/^[1-5]\d\d$/.test(policy));
  return wrong === undefined ? null : `"${wrong}" is not a valid retryOn policy`;
}

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

function subsets(rule: JsonObject): Objection {
  const destinations = [
    ...items(rule, 'route').map((route) => objectAt(route, 'destination')),
    ...items(rule, 'mirrors').map((mirror) => objectAt(mirror, 'destination')),
    ...(has(rule, 'mirror') ? [objectAt(rule, 'mirror')] : []),
  ];
  for (const destination of destinations) {
    const subset = textAt(destination, 'subset');
    if (subset !== undefined && subset !== '' && !LABEL.test(subset)) return `subset name is invalid: ${subset}`;
  }
  return null;
}
