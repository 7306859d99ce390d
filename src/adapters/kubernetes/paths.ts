/** URL paths of the Kubernetes API. */
import type { KindRef } from './kube.ts';

const part = encodeURIComponent;

export const groupPath = (group: string): string => (group === '' ? '/api' : `/apis/${part(group)}`);

/** `namespace` '': of all namespaces. */
export function collectionPath({ group, version, plural, namespace }: KindRef): string {
  const scope = namespace === '' ? '' : `/namespaces/${part(namespace)}`;
  return `${groupPath(group)}/${part(version)}${scope}/${part(plural)}`;
}

export const objectPath = (ref: KindRef & { readonly name: string; readonly subresource?: string }): string =>
  `${collectionPath(ref)}/${part(ref.name)}${ref.subresource === undefined ? '' : `/${part(ref.subresource)}`}`;

export const withQuery = (path: string, query: Readonly<Record<string, string | undefined>>): string => {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
};
