/** What Istio's installer left in the control plane's namespace of the mesh's own configuration. */
import { parse } from 'yaml';
import type { KubeObject } from '../../kubernetes/kube.ts';
import { isRecord, type Json, recordAt, textAt } from '../../routes/json.ts';
import { type Surroundings, Unread } from '../check.ts';

const CONFIG_MAPS = { group: '', plural: 'configmaps' } as const;

/** Field `mesh` of ConfigMap istio (istio-<revision> where there is no other). Throws Unread. */
export async function meshConfigOf(around: Surroundings): Promise<Json> {
  const maps = await configMaps(around);
  const found =
    maps.find(({ metadata }) => metadata.name === 'istio') ??
    maps.find(({ metadata, ...map }) => metadata.name.startsWith('istio-') && textAt(map['data'], 'mesh') !== null);
  const text = textAt(found?.['data'], 'mesh');
  if (text === null)
    throw new Unread(
      `no ConfigMap istio with the field mesh in ${around.controlPlane}, where the mesh's configuration stands`,
    );
  return record(text, `the field mesh of ConfigMap ${around.controlPlane}/istio`);
}

/** Field `global` of the installer's values, as the injector's ConfigMap has them. Throws Unread. */
export async function installedValues(around: Surroundings): Promise<Json> {
  const maps = await configMaps(around);
  const injectors = maps.filter(({ metadata }) => /^istio-sidecar-injector(-|$)/.test(metadata.name));
  const text = injectors.map((map) => textAt(map['data'], 'values')).find((values) => values !== null) ?? null;
  if (text === null)
    throw new Unread(
      `no ConfigMap istio-sidecar-injector with the field values in ${around.controlPlane}, where the installer's values stand`,
    );
  return recordAt(
    record(text, `the field values of ConfigMap ${around.controlPlane}/istio-sidecar-injector`),
    'global',
  );
}

const configMaps = async (around: Surroundings): Promise<readonly KubeObject[]> =>
  (await around.list({ ...CONFIG_MAPS, namespace: around.controlPlane })) ?? [];

/** JSON is YAML too. */
function record(text: string, where: string): Json {
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    throw new Unread(`${where} is no YAML`);
  }
  return isRecord(value) ? value : {};
}
