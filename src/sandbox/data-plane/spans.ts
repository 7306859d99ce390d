/**
 * Spans of the requests, as the proxies report them: the caller's, and one of each pod that was asked. Of requests that failed
 * all are kept, of the others one in a hundred, as Istio samples. Real proxies choose before they know how a request ends.
 */
import { randomBytes } from 'node:crypto';
import type { Endpoint } from './endpoints.ts';
import type { Asked } from './routing.ts';
import type { Attempt, Caller, Forward, Sidecar } from './sidecar.ts';
import type { Proxies } from './table.ts';

export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  readonly service: string;
  readonly operation: string;
  /** Milliseconds since the epoch, and of duration. */
  readonly start: number;
  readonly duration: number;
  readonly tags: Readonly<Record<string, string | number | boolean>>;
}

export interface Spans {
  /** The oldest first. */
  all(): readonly Span[];
  /** The same way to pods, noted. */
  through(forward: Forward): Forward;
  /** The same proxy, whose requests are traces. */
  around(caller: Caller, sidecar: Sidecar): Sidecar;
}

const KEPT = 4_000;
const ONE_IN = 100;

interface Trace {
  readonly id: string;
  readonly spans: Span[];
  /** null: under way. */
  kept: boolean | null;
}

export function openSpans(proxies: Proxies): Spans {
  const traces = new WeakMap<Asked, Trace>();
  const book: Span[] = [];
  let requests = 0;

  const traceOf = (asked: Asked): Trace => {
    const trace = traces.get(asked) ?? { id: randomBytes(16).toString('hex'), spans: [], kept: null };
    traces.set(asked, trace);
    return trace;
  };
  const keep = (...spans: readonly Span[]): void => {
    book.push(...spans);
    if (book.length > KEPT) book.splice(0, book.length - KEPT);
  };
  const note = (asked: Asked, what: Omit<Span, 'traceId'>): void => {
    const trace = traceOf(asked);
    const span = { traceId: trace.id, ...what };
    // A copy, whose answer nobody waits for, may be later than the end.
    if (trace.kept === true) keep(span);
    else if (trace.kept === null) trace.spans.push(span);
  };

  return {
    all: () => book,
    through(forward) {
      const noted = async (...[to, asked, raw, timeout]: Parameters<Forward>): Promise<Attempt> => {
        const start = Date.now();
        const attempt = await forward(to, asked, raw, timeout);
        if (to.sidecar && attempt.kind !== 'refused')
          note(asked, {
            service: proxies === 'istio' ? `${to.labels['app'] ?? to.workload}.${to.namespace}` : LINKERD,
            operation: operationOf(asked),
            start,
            duration: attempt.tookMs,
            tags: { ...(proxies === 'istio' ? istioTags(to) : linkerdTags(to)), ...outcomeOf(attempt) },
          });
        return attempt;
      };
      return Object.assign(noted, { close: () => forward.close() });
    },
    around: (caller, sidecar) => ({
      async serve(asked, raw) {
        const start = Date.now();
        const began = performance.now();
        const answer = await sidecar.serve(asked, raw);
        const duration = performance.now() - began;
        const status = answer?.status ?? 0;
        // A caller without a proxy reports nothing.
        if (caller.sidecar !== false)
          note(asked, {
            service: proxies === 'istio' ? `${caller.workload}.${caller.namespace}` : LINKERD,
            operation: operationOf(asked),
            start,
            duration,
            tags: { ...(proxies === 'istio' ? istioNode(caller) : linkerdTags(caller)), ...statusTags(status) },
          });
        requests += 1;
        const trace = traceOf(asked);
        trace.kept = hasFailed(status) || requests % ONE_IN === 0 || trace.spans.some(({ tags }) => tags['error']);
        if (trace.kept) keep(...trace.spans);
        trace.spans.length = 0;
        return answer;
      },
    }),
  };
}

/** All of Linkerd's proxies report under one name. */
const LINKERD = 'linkerd-proxy';

const operationOf = ({ host }: Asked): string => `${host}:80/*`;

type Tags = Span['tags'];
const istioNode = ({ pod, namespace }: Pick<Caller, 'pod' | 'namespace'>): Tags => ({
  component: 'proxy',
  node_id: `sidecar~127.0.0.1~${pod}.${namespace}~${namespace}.svc.cluster.local`,
});
const istioTags = (to: Endpoint): Tags => ({
  ...istioNode(to),
  'istio.canonical_service': to.labels['app'] ?? to.workload,
  'istio.canonical_revision': to.labels['version'] ?? 'latest',
});
const linkerdTags = ({ pod, namespace }: Pick<Caller, 'pod' | 'namespace'>): Tags => ({
  'k8s.pod.name': pod,
  'k8s.namespace.name': namespace,
});

/** 0: no answer. */
const hasFailed = (status: number): boolean => status === 0 || status >= 500;
const statusTags = (status: number): Tags => ({
  'http.status_code': status,
  ...(hasFailed(status) ? { error: true } : {}),
});

function outcomeOf(attempt: Attempt): Tags {
  switch (attempt.kind) {
    case 'answered':
      return { ...statusTags(attempt.answer.status), response_flags: '-' };
    case 'timeout':
      return { ...statusTags(0), response_flags: 'DC' };
    case 'reset':
    case 'refused':
      return { ...statusTags(503), response_flags: 'UC' };
    default:
      return attempt satisfies never;
  }
}
