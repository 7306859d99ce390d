/** Kiali, Jaeger and Grafana of each cluster: links, validations, and what is asked of them at a rollback. */
import { grafanaLinks } from '../adapters/grafana/links.ts';
import { jaegerSource } from '../adapters/jaeger/client.ts';
import { jaegerLinks } from '../adapters/jaeger/links.ts';
import { kialiValidator } from '../adapters/kiali/client.ts';
import { kialiHealth } from '../adapters/kiali/health.ts';
import { kialiLinks } from '../adapters/kiali/links.ts';
import { isShown } from '../adapters/kiali/object.ts';
import type { HealthPorts } from '../app/mesh-health.ts';
import { startHealth } from '../app/mesh-health.ts';
import type { MeshValidator } from '../app/ports.ts';
import type { Tracer } from '../app/tracer.ts';
import type { TracePorts } from '../app/traces.ts';
import { startTraces } from '../app/traces.ts';
import type { OutsideLinks } from '../app/usecases.ts';
import type { Target } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import type { ClusterSettings, Settings } from './settings.ts';

type ClusterOf = (name: string) => ClusterSettings | undefined;

const clusterOf =
  (clusters: readonly ClusterSettings[]): ClusterOf =>
  (name) =>
    clusters.find((cluster) => cluster.name === name);

/** null: no cluster has a Kiali whose word counts. */
export function validatorOf(clusters: readonly ClusterSettings[], tracer: Tracer): MeshValidator | null {
  const validators = new Map(
    clusters.flatMap(({ name, kiali }): [string, MeshValidator][] =>
      kiali?.validations === true ? [[name, kialiValidator({ ...kiali, tracer })]] : [],
    ),
  );
  if (validators.size === 0) return null;
  return { findings: async (target) => (await validators.get(target.cluster)?.findings(target)) ?? [] };
}

export function outsideLinks(clusters: readonly ClusterSettings[]): (rollout: Rollout) => OutsideLinks {
  const of = clusterOf(clusters);
  return ({ id, plan: { target }, createdAt, phase }) => {
    const { kiali, jaeger, grafana } = of(target.cluster) ?? {};
    const until = phase.name === 'ended' ? phase.at : null;
    return {
      kiali: kiali === undefined ? null : kialiLinks({ ...kiali, url: kiali.publicUrl ?? kiali.url }, target),
      jaeger: jaeger === undefined ? null : jaegerLinks(jaeger.publicUrl ?? jaeger.url, target, createdAt, until),
      grafana: grafana === undefined ? null : grafanaLinks(grafana, { id, target }, createdAt, until),
    };
  };
}

type HealthLoopPorts = Omit<HealthPorts, 'sourceOf'> & { readonly tracer: Tracer };

export function healthLoops({ clusters }: Settings, ports: HealthLoopPorts) {
  const sources = new Map(
    clusters.flatMap(({ name, kiali }) =>
      kiali === undefined ? [] : [[name, kialiHealth({ ...kiali, tracer: ports.tracer })] as const],
    ),
  );
  if (sources.size === 0) return [];
  const sourceOf = (target: Target) => (isShown(target) ? (sources.get(target.cluster) ?? null) : null);
  return [() => startHealth({ ...ports, sourceOf })];
}

/** null: the cluster has no tracing. */
export function traceSources(clusters: readonly ClusterSettings[], tracer: Tracer): TracePorts['sourceOf'] {
  const sources = new Map(
    clusters.flatMap(({ name, jaeger }) =>
      jaeger === undefined ? [] : [[name, jaegerSource({ ...jaeger, tracer })] as const],
    ),
  );
  return (target) => sources.get(target.cluster) ?? null;
}

export const traceLoops = ({ clusters }: Settings, ports: TracePorts) =>
  clusters.some(({ jaeger }) => jaeger !== undefined) ? [() => startTraces(ports)] : [];
