/**
 * A double of Linkerd's SMI adaptor: copies the backends of each TrafficSplit into `dstOverrides` of the ServiceProfile of
 * its apex Service, a moment later, in its own namespace. Nothing else in the sandbox reads a TrafficSplit.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject } from '../adapters/kubernetes/kube.ts';
import type { Api, Kind } from './data-plane/api.ts';
import { ApiRefusal } from './data-plane/api.ts';
import { TRAFFIC_SPLITS } from './data-plane/cluster-view.ts';
import { fqdn } from './data-plane/routing.ts';

/** As the adaptor writes it. */
const PROFILES: Kind = { apiVersion: 'linkerd.io/v1alpha2', plural: 'serviceprofiles' };
const SKIP = 'smi.linkerd.io/skip';

export interface SmiAdaptor {
  /** From now on it copies nothing, as if it were scaled to 0. */
  pause(): void;
  /** It catches up with everything that it missed. */
  resume(): void;
  /** Every split that is there has been copied once. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

interface Spec {
  readonly service: string;
  readonly backends: readonly { readonly service: string; readonly weight: number | string }[];
}

/** `delay`: milliseconds between a change of a split and its copy. */
export function startSmiAdaptor(api: Api, namespace: string, delay: number): SmiAdaptor {
  const stopped = new AbortController();
  const { promise: ready, resolve: isReady, reject: cannot } = Promise.withResolvers<void>();
  ready.catch(() => undefined);
  let splits: readonly KubeObject[] = [];
  /** Apexes that were divided; where the split is gone, the profile stays and divides nothing. */
  const divided = new Set<string>();
  let paused = false;
  let last: Promise<void> = Promise.resolve();

  const copyAll = async (): Promise<void> => {
    await sleep(delay, undefined, { ref: false });
    if (paused || stopped.signal.aborted) return;
    const gone = new Set(divided);
    for (const split of splits) {
      const { service, backends } = split.spec as Spec;
      gone.delete(service);
      divided.add(service);
      const overrides = backends.map((one) => ({ authority: fqdn(one.service, namespace), weight: one.weight }));
      await write(api, fqdn(service, namespace), overrides);
    }
    for (const service of gone) {
      divided.delete(service);
      await write(api, fqdn(service, namespace), []);
    }
    isReady();
  };
  const reconcile = (): void => {
    last = last.then(copyAll).catch((error: unknown) => {
      // Somebody changed the profile in between: looked at again.
      if (!stopped.signal.aborted && error instanceof ApiRefusal && error.status === 409) reconcile();
      else if (!stopped.signal.aborted) cannot(error);
    });
  };
  const watching = api.watch(TRAFFIC_SPLITS, stopped.signal, (objects) => {
    splits = objects;
    reconcile();
  });
  watching.catch(cannot);

  return {
    ready,
    pause() {
      paused = true;
    },
    resume() {
      paused = false;
      reconcile();
    },
    async stop() {
      stopped.abort();
      await Promise.allSettled([watching, last]);
    },
  };
}

async function write(api: Api, name: string, dstOverrides: readonly object[]): Promise<void> {
  const known = await api.get(PROFILES, name).catch((error: unknown) => {
    if (error instanceof ApiRefusal && error.status === 404) return null;
    throw error;
  });
  if (known === null) {
    const profile = {
      apiVersion: PROFILES.apiVersion,
      kind: 'ServiceProfile',
      metadata: { name },
      spec: { dstOverrides },
    };
    await api.create(PROFILES, profile);
    return;
  }
  if (known.metadata.annotations?.[SKIP] !== undefined) return;
  const now = (known.spec as { dstOverrides?: unknown } | undefined)?.dstOverrides;
  if (JSON.stringify(now) !== JSON.stringify(dstOverrides)) await api.merge(PROFILES, name, { spec: { dstOverrides } });
}
