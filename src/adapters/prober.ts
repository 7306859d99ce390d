/**
 * The probes of a fault rehearsal. A plan names their address, and whoever may start a rollout must not reach with it what
 * only this process can reach: only hosts of the target's namespace are asked, and those that the installation allows.
 */
import type { Answers, Prober } from '../app/ports.ts';
import type { TraceHeaders, Tracer } from '../app/tracer.ts';
import { UNTRACED } from '../app/tracer.ts';
import type { Millis, Target } from '../domain/plan.ts';
import type { FaultRehearsal } from '../domain/temporary.ts';
import { REHEARSAL_HEADER } from '../domain/temporary.ts';

export interface ProberOptions {
  /** Hosts beyond those of the target's namespace, with the port where it is not the usual one: "frontend.web", "127.0.0.1:8080". */
  readonly allowed: readonly string[];
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
}

export const prober = ({ allowed, tracer = UNTRACED }: ProberOptions): Prober => ({
  objection: (url, target) => objection(url, target, allowed),
  async probe(rollout, rehearsal) {
    const { url, requests, timeout } = rehearsal.probe;
    const all = async (mark: Mark): Promise<Answers> => {
      const asked = Array.from({ length: requests }, () => ask(tracer, url, mark, timeout));
      return summed(await Promise.all(asked), rehearsal);
    };
    const [marked, unmarked] = await Promise.all([all({ [REHEARSAL_HEADER]: rollout }), all({})]);
    return { ok: true, marked, unmarked };
  },
});

function objection(url: string, { namespace }: Target, allowed: readonly string[]): string | null {
  const address = URL.canParse(url) ? new URL(url) : null;
  if (address === null || !/^https?:$/.test(address.protocol)) return `probe.url: wanted an http address; found ${url}`;
  if (address.username !== '' || address.password !== '') return 'probe.url: wanted an address without a password';
  if (allowed.includes(address.host) || isOf(namespace, address.hostname)) return null;
  return (
    `probe.url: ${address.host} is no host of namespace ${namespace} (like myapp.${namespace}), nor allowed by this ` +
    'installation: name a service of the namespace, or have the host added to SLUICE_PROBE_HOSTS'
  );
}

/** "myapp.production", "myapp.production.svc", "myapp.production.svc.cluster.local". */
const isOf = (namespace: string, host: string): boolean => {
  const [service, second, third] = host.split('.');
  return service !== '' && second === namespace && (third === undefined || third === 'svc');
};

type Mark = Readonly<Record<string, string>>;

interface Answer {
  readonly failed: string | null;
  /** null: none came. */
  readonly status: number | null;
  readonly took: Millis;
}

const ask = (tracer: Tracer, url: string, mark: Mark, timeout: Millis): Promise<Answer> =>
  tracer.call('probe.get', { 'server.address': new URL(url).host }, async (span, trace) => {
    const answer = await probed(url, { ...trace, ...mark }, timeout);
    if (answer.failed !== null) span.fail(answer.failed);
    return answer;
  });

async function probed(url: string, headers: TraceHeaders, timeout: Millis): Promise<Answer> {
  const began = performance.now();
  const signal = AbortSignal.timeout(timeout);
  const took = (): Millis => performance.now() - began;
  try {
    const response = await fetch(url, { headers, redirect: 'manual', signal });
    // What the answer says is nobody's business here; unread it would keep the connection.
    await response.body?.cancel();
    const { status } = response;
    return { failed: status >= 500 ? `status ${status}` : null, status, took: took() };
  } catch (error) {
    const { cause } = error as { readonly cause?: { readonly code?: string } };
    const failed = signal.aborted ? `no answer in ${timeout} ms` : (cause?.code ?? 'no answer');
    return { failed, status: null, took: took() };
  }
}

function summed(answers: readonly Answer[], { delay, abort }: FaultRehearsal): Answers {
  const failures = answers.flatMap(({ failed }) => failed ?? []);
  const affected = answers.filter(
    ({ failed, status, took }) =>
      failed !== null || (abort !== null && status === abort.status) || (delay !== null && took >= delay.time),
  );
  return {
    requests: answers.length,
    failed: failures.length,
    affected: affected.length,
    slowest: Math.max(...answers.map(({ took }) => took)),
    lastFailure: failures.at(-1) ?? '',
  };
}
