/**
 * Failing traces of a canary, from any Jaeger. Three generations are met: only the API of its own page (`/api/traces`,
 * before 1.53), both, and only `/api/v3/traces` (after 2.20). The older is tried first: where both are, it alone honours
 * the search for errors in every version. Where it is gone, its address says 404, or gives the page itself with status 200.
 */
import type { TraceAnswer, TraceQuestion, TraceSource } from '../../app/ports.ts';
import type { Tracer } from '../../app/tracer.ts';
import type { Millis } from '../../domain/plan.ts';
import type { Fetched, GetJson } from '../get-json.ts';
import { basicAuth, below, getJson, refusedWords } from '../get-json.ts';
import { listAt, textAt } from '../routes/json.ts';
import { failingTraces } from './failing.ts';
import { ERRORS, searchLink, serviceNameOf, traceLink } from './links.ts';
import type { Span } from './span.ts';
import { readV1 } from './v1.ts';
import { readV3 } from './v3.ts';

export interface JaegerOptions {
  /** As this service reaches it, with its base path. */
  readonly url: string;
  /** As browsers reach it. Default: url. */
  readonly publicUrl?: string;
  readonly api: 'auto' | 'v1' | 'v3';
  readonly auth: { readonly name: string; readonly value: string } | null;
  readonly timeout?: Millis;
  readonly maxBytes?: number;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
}

const TIMEOUT: Millis = 5_000;
const MAX_BYTES = 16 * 1024 * 1024;
/** Traces asked for: most belong to the stable version. The second, where the first is too much to read. */
const DEPTHS = [200, 20] as const;

type Found =
  | { readonly kind: 'spans'; readonly spans: readonly Span[] }
  /** This Jaeger has another API. */
  | { readonly kind: 'no_such_api'; readonly message: string }
  | { readonly kind: 'trouble'; readonly message: string; readonly tooLarge: boolean };

type Api = (question: TraceQuestion, depth: number) => Promise<Found>;

export function jaegerSource(options: JaegerOptions): TraceSource {
  const { url, publicUrl = url, api, auth, timeout = TIMEOUT, maxBytes = MAX_BYTES, tracer } = options;
  const server = `Jaeger at ${below(url, '').href}`;
  const how: GetJson = {
    server,
    headers: auth === null ? basicAuth(url) : { [auth.name]: auth.value },
    timeout,
    maxBytes,
    call: 'jaeger.get',
    tracer,
  };
  const apis: Readonly<Record<'v1' | 'v3', Api>> = {
    v1: (question, depth) => searchV1(url, how, question, depth),
    v3: (question, depth) => searchV3(url, how, question, depth),
  };
  const order = api === 'auto' ? (['v1', 'v3'] as const) : ([api] as const);

  async function search(question: TraceQuestion): Promise<Found> {
    const missing: string[] = [];
    for (const name of order) {
      const found = await withLess((depth) => apis[name](question, depth));
      if (found.kind !== 'no_such_api') return found;
      missing.push(found.message);
    }
    return { kind: 'trouble', tooLarge: false, message: `${missing.join('; ')}: is its base path in the address?` };
  }

  return {
    async failing(question): Promise<TraceAnswer> {
      const { target, from, to, limit } = question;
      const link = searchLink(publicUrl, target, from, to);
      const found = await search(question);
      if (found.kind !== 'spans') return { ok: false, message: found.message, link };
      const traces = failingTraces(found.spans, target, limit, (id) => traceLink(publicUrl, id));
      return { ok: true, traces, looked: new Set(found.spans.map((span) => span.traceId)).size, link };
    },
  };
}

async function withLess(ask: (depth: number) => Promise<Found>): Promise<Found> {
  const [many, few] = DEPTHS;
  const found = await ask(many);
  return found.kind === 'trouble' && found.tooLarge ? ask(few) : found;
}

async function searchV1(url: string, how: GetJson, { target, from, to }: TraceQuestion, depth: number): Promise<Found> {
  const query = {
    service: serviceNameOf(target),
    tags: ERRORS,
    start: String(Math.round(from * 1000)),
    end: String(Math.round(to * 1000)),
    limit: String(depth),
  };
  const answer = await getJson(below(url, '/api/traces', query), how);
  if (!answer.ok) return { kind: 'trouble', message: answer.message, tooLarge: answer.code === 'too_large' };
  if (answer.status === 404 || answer.status === 410 || (answer.status === 200 && answer.json === undefined))
    return { kind: 'no_such_api', message: `${how.server} has no /api/traces` };
  if (answer.status !== 200) return refused(how, answer);
  const spans = readV1(answer.json);
  if (spans === null) return { kind: 'no_such_api', message: `${how.server} has no /api/traces` };
  // Some shards of the storage may be away: what the others know is better than nothing, nothing is not "none".
  const [trouble] = listAt(answer.json, 'errors');
  if (trouble !== undefined && spans.length === 0)
    return { kind: 'trouble', tooLarge: false, message: `${how.server}: ${textAt(trouble, 'msg') ?? 'an error'}` };
  return { kind: 'spans', spans };
}

async function searchV3(url: string, how: GetJson, { target, from, to }: TraceQuestion, depth: number): Promise<Found> {
  const query = {
    'query.serviceName': serviceNameOf(target),
    'query.startTimeMin': new Date(from).toISOString(),
    'query.startTimeMax': new Date(to).toISOString(),
    'query.searchDepth': String(depth),
    'query.attributes': ERRORS,
  };
  const answer = await getJson(below(url, '/api/v3/traces', query), how);
  if (!answer.ok) return { kind: 'trouble', message: answer.message, tooLarge: answer.code === 'too_large' };
  if (answer.status === 404 && /no traces found/i.test(answer.text)) return { kind: 'spans', spans: [] };
  if (answer.status === 404) return { kind: 'no_such_api', message: `${how.server} has no /api/v3/traces` };
  if (answer.status !== 200) return refused(how, answer);
  const spans = readV3(answer.text);
  return spans === null
    ? { kind: 'no_such_api', message: `${how.server} has no /api/v3/traces` }
    : { kind: 'spans', spans };
}

const refused = ({ server }: GetJson, { status }: Fetched): Found => ({
  kind: 'trouble',
  tooLarge: false,
  message: refusedWords(server, status),
});
