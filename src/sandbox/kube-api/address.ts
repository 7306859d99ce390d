/** What a request asks for, read off its method and URL. */
import type { Attributes } from './rbac.ts';

export interface Address {
  /** get, list, watch, create, update, patch, delete; `discovery` for paths that name no resource. */
  readonly verb: string;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  readonly parts: readonly string[];
  readonly query: URLSearchParams;
}

const NO_QUERY = new URLSearchParams();
const WITH_NAME: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
  POST: 'create',
};
const OF_COLLECTION: Readonly<Record<string, string>> = {
  GET: 'list',
  HEAD: 'list',
  POST: 'create',
  DELETE: 'deletecollection',
};

export function addressOf(method: string, url: string): Address {
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const query = mark < 0 ? NO_QUERY : new URLSearchParams(url.slice(mark + 1));
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const rest = resourceParts(parts);
  if (rest === null || rest.length === 0)
    return {
      verb: 'discovery',
      group: '',
      version: '',
      plural: '',
      namespace: '',
      name: '',
      subresource: '',
      parts,
      query,
    };

  const [group, version] = parts[0] === 'api' ? ['', parts[1]] : [parts[1], parts[2]];
  // `namespaces/x` is the Namespace x itself; `namespaces/x/pods` are the pods in it.
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status';
  const [plural = '', name = '', subresource = ''] = inNamespace ? rest.slice(2) : rest;
  const namespace = inNamespace ? (rest[1] ?? '') : '';
  const watching = name === '' && method === 'GET' && isTrue(query.get('watch'));
  const verb = watching ? 'watch' : ((name === '' ? OF_COLLECTION : WITH_NAME)[method] ?? method.toLowerCase());
  return { verb, group: group ?? '', version: version ?? '', plural, namespace, name, subresource, parts, query };
}

const isTrue = (value: string | null): boolean => value === 'true' || value === '1';

/** Parts after the version; null: not below a version. */
function resourceParts(parts: readonly string[]): readonly string[] | null {
  if (parts[0] === 'api') return parts.slice(2);
  return parts[0] === 'apis' ? parts.slice(3) : null;
}

export const attributesOf = (address: Address): Attributes => ({
  verb: address.verb,
  group: address.group,
  resource: address.subresource === '' ? address.plural : `${address.plural}/${address.subresource}`,
  namespace: address.namespace,
  name: address.name,
});

/** A number from the query; null: absent or none. */
export const numberFrom = (query: URLSearchParams, key: string): number | null => {
  const value = query.get(key);
  return value === null || value === '' || Number.isNaN(Number(value)) ? null : Number(value);
};
