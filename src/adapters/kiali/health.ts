/**
 * How Kiali sees a service and a workload now. Both generations answer for a whole namespace: Kiali 2 under
 * `namespaceServiceHealth.<namespace>.<name>`, Kiali 1 under the name alone. Kiali 2 may answer from a cache of minutes, and
 * says so in a header only: good enough to be kept beside an outcome, and never asked by a gate.
 */
import type { HealthAnswer, HealthSource, ObjectHealth } from '../../app/ports.ts';
import { percent, plain } from '../../domain/format.ts';
import type { Millis, Target } from '../../domain/plan.ts';
import type { GetJson } from '../get-json.ts';
import { basicAuth, below, getJson, refusedWords } from '../get-json.ts';
import { isRecord, numberAt, recordAt, textAt } from '../routes/json.ts';
import type { KialiOptions } from './client.ts';
import { serviceLink } from './links.ts';

/** Of one answer; two are asked for, at the same time. */
const TIMEOUT: Millis = 3_000;
const MAX_BYTES = 4 * 1024 * 1024;
const INTERVAL = '60s';

type Kind = 'service' | 'workload';
type Asked = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly message: string };

export interface KialiHealthOptions extends KialiOptions {
  /** As browsers reach it. Default: url. */
  readonly publicUrl?: string;
}

export function kialiHealth(options: KialiHealthOptions): HealthSource {
  const { url, publicUrl = url, objectPath, token, timeout = TIMEOUT, maxBytes = MAX_BYTES, tracer } = options;
  const server = `Kiali at ${below(url, '').href}`;
  const headers = token === null ? basicAuth(url) : { authorization: `Bearer ${token}` };
  const how: GetJson = { server, headers, timeout, maxBytes, call: 'kiali.get', tracer };
  const link = ({ namespace, service }: Target): string =>
    serviceLink({ url: publicUrl, objectPath }, namespace, service);

  async function ask(kind: Kind, namespace: string, name: string): Promise<Asked> {
    const query = { type: kind, rateInterval: INTERVAL };
    const address =
      objectPath === 'gvk'
        ? below(url, '/api/clusters/health', { namespaces: namespace, ...query })
        : below(url, `/api/namespaces/${encodeURIComponent(namespace)}/health`, query);
    const answer = await getJson(address, how);
    if (!answer.ok) return answer;
    if (answer.status !== 200) return { ok: false, message: refusedWords(server, answer.status) };
    if (!isRecord(answer.json))
      return { ok: false, message: `${server} answers with a page in place of JSON; is its web root in the address?` };
    const list = objectPath === 'gvk' ? recordAt(recordAt(answer.json, LISTS[kind]), namespace) : answer.json;
    return { ok: true, value: list[name] };
  }

  return {
    link,
    async now(target): Promise<HealthAnswer> {
      const { namespace, service, canary } = target;
      const [ofService, ofCanary] = await Promise.all([
        ask('service', namespace, service),
        ask('workload', namespace, canary.deployment),
      ]);
      if (!ofService.ok) return { ...ofService, link: link(target) };
      if (!ofCanary.ok) return { ...ofCanary, link: link(target) };
      return {
        ok: true,
        service: healthOf(`service ${service}`, ofService.value),
        canary: healthOf(`workload ${canary.deployment}`, ofCanary.value),
        link: link(target),
      };
    },
  };
}

const LISTS = { service: 'namespaceServiceHealth', workload: 'namespaceWorkloadHealth' } as const;

/** null: Kiali has nothing under that name. Rates are `requests.inbound.<protocol>.<status>`. */
export function healthOf(name: string, value: unknown): ObjectHealth | null {
  if (!isRecord(value)) return null;
  const rates = Object.entries(recordAt(recordAt(value, 'requests'), 'inbound')).flatMap(([protocol, codes]) =>
    isRecord(codes)
      ? Object.entries(codes).map(([code, rate]) => ({ failed: isFailure(protocol, code), rate: Number(rate) }))
      : [],
  );
  const sum = (all: readonly { readonly rate: number }[]): number =>
    all.reduce((total, { rate }) => total + (Number.isFinite(rate) ? rate : 0), 0);
  const requests = sum(rates);
  const failed = sum(rates.filter((one) => one.failed));
  const pods = recordAt(value, 'workloadStatus');
  const [wanted, available] = [numberAt(pods, 'desiredReplicas'), numberAt(pods, 'availableReplicas')];
  const status = textAt(recordAt(value, 'status'), 'status');
  const words = [
    ...(status === null ? [] : [status]),
    requests === 0
      ? 'no requests in the last minute, which says nothing of its health'
      : `${plain(requests)} requests/s, ${percent(failed / requests)} of them failed`,
    ...(wanted === null || available === null ? [] : [`${available} of ${wanted} pods available`]),
  ];
  return {
    name,
    requests,
    failed,
    pods: wanted === null || available === null ? null : { wanted, available },
    status,
    message: `${name}: ${words.join(', ')}`,
  };
}

/** Statuses of gRPC that are the server's doing, as the checks count them. */
const GRPC = new Set(['2', '4', '12', '13', '14', '15']);
const isFailure = (protocol: string, code: string): boolean =>
  protocol === 'grpc' ? GRPC.has(code) : code.startsWith('5') || code === '0' || code === '-';
