/** What Istio's validating webhook has against a Gateway, a PeerAuthentication or an AuthorizationPolicy. */
import { childOf, isList, type JsonObject, numberAt, objectAt, textAt } from './json.ts';
import { has, items } from './webhook-route.ts';

/** null: no objection. */
export function rejectGateway(object: JsonObject): string | null {
  const servers = items(objectAt(object, 'spec'), 'servers');
  if (servers.length === 0) return 'gateway must have at least one server';
  for (const server of servers) {
    const hosts = childOf(server, 'hosts');
    if (!isList(hosts) || hosts.length === 0) return 'server config must contain at least one host';
    const port = objectAt(server, 'port');
    const number = numberAt(port, 'number') ?? 0;
    if (number < 1 || number > 65_535) return `port number ${number} must be in the range 1..65535`;
    if ((textAt(port, 'name') ?? '') === '') return `port name must be set: number:${number}`;
    const secure = ['HTTPS', 'TLS'].includes((textAt(port, 'protocol') ?? '').toUpperCase());
    if (secure && !has(server, 'tls')) return 'server must have TLS settings for HTTPS/TLS protocols';
    const tls = objectAt(server, 'tls');
    const mode = textAt(tls, 'mode');
    const certified = ['credentialName', 'credentialNames', 'serverCertificate', 'tlsCertificates'].some((field) =>
      has(tls, field),
    );
    if (secure && (mode === 'SIMPLE' || mode === 'MUTUAL') && !certified)
      return `${mode} TLS requires a server certificate or credential name`;
  }
  return null;
}

/** null: no objection. */
export function rejectPeerAuthentication(object: JsonObject): string | null {
  const spec = objectAt(object, 'spec');
  const labels = objectAt(objectAt(spec, 'selector'), 'matchLabels');
  const ports = Object.keys(objectAt(spec, 'portLevelMtls'));
  if (Object.keys(labels).length === 0 && ports.length > 0)
    return 'mesh/namespace peer authentication cannot have port level mTLS';
  if (has(spec, 'portLevelMtls') && ports.length === 0)
    return 'port level mTLS, if defined, must have at least one element';
  if (ports.some((port) => !(Number(port) >= 1 && Number(port) <= 65_535))) return 'port must be in range 1..65535';
  return selector(labels);
}

function selector(labels: JsonObject): string | null {
  const wild = Object.entries(labels).find(([key, value]) => key.includes('*') || String(value).includes('*'));
  if (wild !== undefined) return 'wildcard is not supported in selector';
  return Object.keys(labels).includes('') ? 'empty key is not supported in selector' : null;
}

/** null: no objection. */
export function rejectAuthorizationPolicy(object: JsonObject): string | null {
  const spec = objectAt(object, 'spec');
  const action = textAt(spec, 'action') ?? 'ALLOW';
  const rules = childOf(spec, 'rules');
  if (action !== 'ALLOW' && action !== 'CUSTOM' && (!isList(rules) || rules.length === 0))
    return `a ${action} policy without \`rules\` is meaningless and has no effect`;
  if (action === 'CUSTOM' && textAt(objectAt(spec, 'provider'), 'name') === undefined)
    return '`provider.name` must not be empty';
  for (const [i, rule] of items(spec, 'rules').entries()) {
    const objection = authorizationRule(rule, i);
    if (objection !== null) return objection;
  }
  return selector(objectAt(objectAt(spec, 'selector'), 'matchLabels'));
}

function authorizationRule(rule: JsonObject, at: number): string | null {
  for (const [part, inner] of [
    ['from', 'source'],
    ['to', 'operation'],
  ] as const) {
    if (has(rule, part) && items(rule, part).length === 0) return `\`${part}\` cannot be empty, found at rule ${at}`;
    for (const entry of items(rule, part)) {
      const fields = objectAt(entry, inner);
      if (Object.keys(fields).length === 0) return `\`${part}.${inner}\` cannot be empty, found at rule ${at}`;
      const empty = Object.entries(fields).find(([, value]) => isList(value) && value.includes(''));
      if (empty !== undefined) return `\`${part}.${inner}.${empty[0]}\` has an empty value, found at rule ${at}`;
    }
  }
  for (const condition of items(rule, 'when')) {
    const key = textAt(condition, 'key') ?? '';
    if (key === '') return `\`key\` cannot be empty, found at rule ${at}`;
    if (!has(condition, 'values') && !has(condition, 'notValues'))
      return `at least one of \`values\` or \`notValues\` must be set for key ${key}, found at rule ${at}`;
  }
  return null;
}
