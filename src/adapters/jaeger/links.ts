/** Addresses of Jaeger's pages. Pure. */
import type { JaegerLinks } from '../../app/usecases.ts';
import type { Instant, Target } from '../../domain/plan.ts';
import { carrierOf } from '../carrier.ts';
import { below } from '../get-json.ts';

export const ERRORS = JSON.stringify({ error: 'true' });

/** Istio's proxies report as `<service>.<namespace>`; all of Linkerd's under one name. */
export const serviceNameOf = (target: Target): string =>
  carrierOf(target) === 'linkerd' ? 'linkerd-proxy' : `${target.service}.${target.namespace}`;

export const traceLink = (url: string, traceId: string): string =>
  below(url, `/trace/${encodeURIComponent(traceId)}`).href;

export const jaegerLinks = (url: string, target: Target, from: Instant, to: Instant | null): JaegerLinks => ({
  search: searchLink(url, target, from, to),
  trace: traceLink(url, ''),
});

/** Traces with errors of the service in that time; `to` null: until now. */
export const searchLink = (url: string, target: Target, from: Instant, to: Instant | null): string =>
  below(url, '/search', {
    service: serviceNameOf(target),
    tags: ERRORS,
    start: String(Math.round(from * 1000)),
    ...(to === null ? {} : { end: String(Math.round(to * 1000)) }),
    limit: '20',
  }).href;
