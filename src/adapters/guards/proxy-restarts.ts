/**
 * Proxies of the canary's pods that ended since the rollout began: killed for memory, or crashed. The pods' own status
 * tells, so no metric is needed. Where as many of the stable's ended, something else is the matter.
 */
import type { GuardFinding } from '../../app/ports.ts';
import { plain } from '../../domain/format.ts';
import type { Instant } from '../../domain/plan.ts';
import { defineGuard, failed, passed, unknown, value } from '../guard.ts';
import { proxyName } from '../inspect/workload-pods.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { listAt, numberAt, recordAt, textAt } from '../routes/json.ts';

type Proxy = 'istio' | 'linkerd';

interface Ends {
  readonly pods: number;
  /** Ends since then, as far as the status tells: of a pod from before it, the last one. */
  readonly times: number;
  /** `pod myapp-v2-x: OOMKilled (exit 137), 3 restarts` */
  readonly words: readonly string[];
}

/** The kubelet writes whole seconds. */
const GRAIN = 1_000;

export function endsSince(pods: readonly KubeObject[], proxy: Proxy, since: Instant): Ends {
  const ended = pods.flatMap((pod) => {
    const container = [...listAt(pod.status, 'containerStatuses'), ...listAt(pod.status, 'initContainerStatuses')].find(
      (one) => textAt(one, 'name') === proxyName({ proxy }),
    );
    const last = ['state', 'lastState']
      .map((state) => recordAt(recordAt(container, state), 'terminated'))
      .find((one) => Object.keys(one).length > 0);
    if (last === undefined) return [];
    const at = Date.parse(textAt(last, 'finishedAt') ?? '');
    if (!(at >= since - GRAIN)) return [];
    const restarts = numberAt(container, 'restartCount') ?? 1;
    const young = Date.parse(pod.metadata.creationTimestamp ?? '') >= since - GRAIN;
    const reason = textAt(last, 'reason') ?? 'Error';
    const words = `pod ${pod.metadata.name}: ${reason} (exit ${String(last['exitCode'] ?? '?')}), ${restarts} restart${restarts === 1 ? '' : 's'} in its life`;
    return [{ times: young ? Math.max(1, restarts) : 1, words }];
  });
  return {
    pods: pods.length,
    times: ended.reduce((sum, { times }) => sum + times, 0),
    words: ended.map(({ words }) => words),
  };
}

const QUERY =
  "# the pods' own status: containerStatuses[].lastState.terminated of the proxy (kubectl get pods -o yaml)";

export function judgeRestarts(limit: number, canary: Ends, stable: Ends): GuardFinding {
  if (canary.pods === 0) return unknown('no_data', 'the canary has no pods', QUERY);
  const parts = { canary: value(QUERY, canary.times), stable: value(QUERY, stable.times), threshold: limit };
  if (canary.times <= limit)
    return passed(
      canary.times === 0
        ? `no proxy of the canary's ${plain(canary.pods)} pods has ended since the rollout began`
        : `proxies of the canary ended ${plain(canary.times)} times since the rollout began, no more than ${plain(limit)}: ${canary.words.join('; ')}`,
      parts,
    );
  const words = `proxies of the canary ended ${plain(canary.times)} times since the rollout began: ${canary.words.join('; ')}`;
  const shared = stable.pods > 0 && stable.times / stable.pods >= canary.times / canary.pods;
  if (shared)
    return unknown(
      'no_data',
      `${words}; the stable version's ended as often (${plain(stable.times)} times), so it is not the canary's doing`,
      QUERY,
    );
  const killed = canary.words.some((line) => line.includes('OOMKilled'));
  const advice = killed ? '. Give the proxy more memory (guard proxy-resources suggests how much)' : '';
  return failed('proxy_ended', `${words}; of the stable version ${plain(stable.times)}${advice}`, parts);
}

export default defineGuard({
  name: 'proxy-restarts',
  about: "Proxies of the canary's pods have ended (OOMKilled, crashed) since the rollout began.",
  proxies: ['istio', 'linkerd'],
  metrics: false,
  strict: false,
  defaults: { unit: 'count', then: 'pause', limit: 0, window: null, failureLimit: 1 },
  every: 10_000,
  async look({ proxy, limit, since, pods }) {
    const [canary, stable] = await Promise.all([pods('canary'), pods('stable')]);
    if (!canary.ok) return unknown('unavailable', canary.message, QUERY);
    const theirs = stable.ok ? stable.value : [];
    return judgeRestarts(limit, endsSince(canary.value, proxy, since), endsSince(theirs, proxy, since));
  },
});
