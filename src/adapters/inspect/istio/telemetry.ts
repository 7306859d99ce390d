/** What Telemetry objects and the mesh's configuration say about traces together. Pure. */
import type { KubeObject } from '../../kubernetes/kube.ts';
import { isRecord, type Json, listAt, numberAt, recordAt, textAt } from '../../routes/json.ts';
import { nameOf, namespaceOf, oldestFirst, textsAt } from './objects.ts';
import { includes, type Labels, selectorOf } from './workloads.ts';

export interface Tracing {
  /** Names of providers; empty: none is named, so the mesh's own default counts. */
  readonly providers: readonly string[];
  /** Percent of requests; null: not said. */
  readonly sampling: number | null;
  readonly disabled: boolean;
  /** Telemetry objects that say something of it, the most specific first. */
  readonly from: readonly string[];
}

/** Each field by the most specific object that has it: the workload's, the namespace's, the mesh's. `labels` null: of the namespace. */
export function tracingOf(all: readonly KubeObject[], namespace: string, root: string, labels: Labels | null): Tracing {
  const scopes = [
    all.filter(
      (one) =>
        labels !== null && namespaceOf(one) === namespace && isSelecting(one) && includes(labels, selectorOf(one)),
    ),
    all.filter((one) => namespaceOf(one) === namespace && namespace !== root && !isSelecting(one)),
    all.filter((one) => namespaceOf(one) === root && !isSelecting(one)),
  ];
  const speaking = scopes.flatMap((scope) => oldestFirst(scope).slice(0, 1)).filter((one) => tracingAt(one).length > 0);
  const entries = speaking.flatMap(tracingAt);
  const sampling = entries.map((entry) => numberAt(entry, 'randomSamplingPercentage')).find((value) => value !== null);
  const disabled = entries.find((entry) => isRecord(entry) && typeof entry['disableSpanReporting'] === 'boolean');
  const providers = entries
    .map((entry) => listAt(entry, 'providers').flatMap((provider) => textAt(provider, 'name') ?? []))
    .find((list) => list.length > 0);
  return {
    providers: providers ?? [],
    sampling: sampling ?? null,
    disabled: isRecord(disabled) && disabled['disableSpanReporting'] === true,
    from: speaking.map(nameOf),
  };
}

const isSelecting = (one: KubeObject): boolean => Object.keys(selectorOf(one)).length > 0;

/** Entries for what a server is asked; one for callers alone says nothing of it. */
const tracingAt = (one: KubeObject): readonly unknown[] =>
  listAt(one.spec, 'tracing').filter((entry) => textAt(recordAt(entry, 'match'), 'mode') !== 'CLIENT');

/** What the mesh does where no Telemetry speaks. */
export interface MeshDefaults {
  readonly providers: readonly string[];
  /** Names of extensionProviders that can be named. */
  readonly known: readonly string[];
  /** Percent; Istio's own default is 1. */
  readonly sampling: number;
  /** Does defaultConfig.tracing name an address (zipkin, lightstep ...)? */
  readonly address: boolean;
  readonly enabled: boolean;
}

export const DEFAULT_SAMPLING = 1;

/** `mesh`: the parsed field `mesh` of the ConfigMap. */
export function meshDefaults(mesh: Json): MeshDefaults {
  const tracing = recordAt(recordAt(mesh, 'defaultConfig'), 'tracing');
  return {
    providers: textsAt(recordAt(mesh, 'defaultProviders'), 'tracing'),
    known: listAt(mesh, 'extensionProviders').flatMap((provider) => textAt(provider, 'name') ?? []),
    sampling: numberAt(tracing, 'sampling') ?? DEFAULT_SAMPLING,
    address: Object.values(tracing).some((backend) => isRecord(backend) && textAt(backend, 'address') !== null),
    enabled: mesh['enableTracing'] !== false,
  };
}
