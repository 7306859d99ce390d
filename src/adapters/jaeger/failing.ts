/**
 * Which spans are failures of the canary. Asked of Jaeger too, but never believed: before 2.19 its newer API ignores
 * attributes in silence, and its older one knows of services, not of versions.
 */
import type { FailingTrace } from '../../app/ports.ts';
import type { Target } from '../../domain/plan.ts';
import { expandHost } from '../routes/hosts.ts';
import type { Span } from './span.ts';

const first = (span: Span, ...names: readonly string[]): string | null =>
  names.map((name) => span.tags[name]).find((value) => value !== undefined && value !== '') ?? null;

const httpStatus = (span: Span): string | null => first(span, 'http.response.status_code', 'http.status_code');
const grpcStatus = (span: Span): string | null => first(span, 'rpc.grpc.status_code', 'grpc.status_code');

/** A span with none of these is no failure: what is not said is not made up. */
export function hasFailed(span: Span): boolean {
  if (span.failed || span.tags['error'] === 'true') return true;
  if (Number(httpStatus(span) ?? 0) >= 500) return true;
  const grpc = grpcStatus(span);
  return grpc !== null && grpc !== '0' && grpc.toUpperCase() !== 'OK';
}

/** By what it is known as the canary's; null: it is not, or nobody can tell. */
export function canaryBy(span: Span, target: Target): string | null {
  const { canary, namespace } = target;
  const pod = podOf(span);
  // The proxy's own word decides: a stable pod that calls the canary's host is told by `upstream_cluster` alone.
  if (pod !== null && (pod.namespace ?? namespace) === namespace && isPodOf(pod.name, canary.deployment)) return 'pod';
  if (goesTo(span, target)) return 'upstream_cluster';
  const subset = canary['subset'];
  const isService =
    span.tags['istio.canonical_service'] === target.service || span.service === `${target.service}.${namespace}`;
  const otherPod = pod !== null && isPodOf(pod.name, target.stable.deployment);
  if (typeof subset === 'string' && isService && !otherPod && span.tags['istio.canonical_revision'] === subset)
    return 'istio.canonical_revision';
  return null;
}

/** `node_id` is `sidecar~<ip>~<pod>.<namespace>~<domain>`; others name the pod itself. */
function podOf(span: Span): { readonly name: string; readonly namespace: string | null } | null {
  const [, , node] = (span.tags['node_id'] ?? '').split('~');
  if (node !== undefined && node !== '') {
    const dot = node.lastIndexOf('.');
    return dot === -1 ? { name: node, namespace: null } : { name: node.slice(0, dot), namespace: node.slice(dot + 1) };
  }
  const name = first(span, 'k8s.pod.name', 'pod', 'hostname', 'host.name');
  return name === null ? null : { name, namespace: first(span, 'k8s.namespace.name', 'istio.namespace') };
}

/** A Deployment's pods are `<deployment>-<template hash>-<five characters>`: myapp-v1-... is none of myapp. */
const isPodOf = (pod: string, deployment: string): boolean =>
  pod.startsWith(`${deployment}-`) && /^[a-z0-9]{1,16}-[a-z0-9]{5}$/.test(pod.slice(deployment.length + 1));

/** `outbound|80|v2|myapp.production.svc.cluster.local`: port, subset, host. */
function goesTo({ tags }: Span, { canary, stable, namespace }: Target): boolean {
  const [direction, , subset = '', host = ''] = (tags['upstream_cluster'] ?? '').split('|');
  const named = canary['host'] ?? canary['service'];
  if (direction !== 'outbound' || typeof named !== 'string' || host !== expandHost(named, namespace)) return false;
  const wanted = canary['subset'] ?? '';
  // Without subsets only a host of its own tells the canary.
  return subset === wanted && (wanted !== '' || named !== (stable['host'] ?? stable['service']));
}

/** The failing traces of the canary among these spans, the newest first; of each the earliest failed span. */
export function failingTraces(
  spans: readonly Span[],
  target: Target,
  limit: number,
  linkOf: (traceId: string) => string,
): readonly FailingTrace[] {
  const found = spans.flatMap((span) => {
    const by = span.traceId === '' || !hasFailed(span) ? null : canaryBy(span, target);
    return by === null ? [] : [{ span, by }];
  });
  const traces = [...Map.groupBy(found, ({ span }) => span.traceId).values()].flatMap((same) => {
    const [earliest] = same.toSorted((a, b) => a.span.start - b.span.start);
    return earliest === undefined ? [] : [traceOf(earliest.span, earliest.by, linkOf)];
  });
  return traces.toSorted((a, b) => b.at - a.at).slice(0, limit);
}

function traceOf(span: Span, by: string, linkOf: (traceId: string) => string): FailingTrace {
  const http = httpStatus(span);
  const grpc = grpcStatus(span);
  const status = http !== null ? `HTTP ${http}` : grpc !== null ? `gRPC ${grpc}` : 'error';
  const flags = first(span, 'response_flags');
  const pod = podOf(span)?.name ?? null;
  const words = [
    `${span.operation || 'a request'} of ${span.service || 'an unnamed service'}: ${status}`,
    ...(flags === null || flags === '-' ? [] : [`flags ${flags}`]),
    `after ${Math.round(span.duration)} ms`,
    ...(pod === null ? [] : [`in ${pod}`]),
  ];
  return {
    traceId: span.traceId,
    at: Math.round(span.start),
    service: span.service,
    operation: span.operation,
    status,
    duration: Math.round(span.duration),
    knownBy: by,
    summary: words.join(', ').slice(0, 500),
    link: linkOf(span.traceId),
  };
}
