/** What pods say about why they do not run, in the kubelet's own words. */
import type { Workload } from '../../domain/observation.ts';
import type { KubeObject } from './kube.ts';

type Crash = NonNullable<Extract<Workload, { ok: true }>['crash']>;

interface Terminated {
  readonly exitCode?: number;
  readonly signal?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly finishedAt?: string;
}

interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: { readonly startedAt?: string };
  readonly terminated?: Terminated;
}

interface PodStatus {
  readonly phase?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason?: string;
    readonly message?: string;
  }[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
  readonly containerStatuses?: readonly ContainerStatus[];
}

interface Complaint extends Crash {
  /** Higher is worse. */
  readonly rank: number;
}

const RESTARTS_OF_A_LOOP = 3;
const RECENT_MS = 10 * 60_000;
/** Reasons to wait that are no trouble: the pod is on its way. */
const ON_ITS_WAY: ReadonlySet<string> = new Set(['ContainerCreating', 'PodInitializing', '']);

const RANK = { loop: 5, died: 4, waiting: 3, unschedulable: 2, failed: 1 } as const;

/** The worst complaint of these pods; null: none cannot run. */
export function worstPod(pods: readonly KubeObject[], now: number): Crash | null {
  // A terminating pod is leaving; whatever it says no longer matters.
  const staying = pods.filter((pod) => pod.metadata['deletionTimestamp'] === undefined);
  const current = currentTemplate(staying);
  const complaints = staying.flatMap((pod) => {
    const ofCurrent = pod.metadata.labels?.[TEMPLATE_HASH] === current;
    return complaintsOf(pod, now).map((complaint) => ({ ...complaint, fatal: complaint.fatal && ofCurrent }));
  });
  const worst = complaints.sort((a, b) => Number(b.fatal) - Number(a.fatal) || b.rank - a.rank)[0];
  return worst === undefined ? null : { reason: worst.reason, message: worst.message, fatal: worst.fatal };
}

const TEMPLATE_HASH = 'pod-template-hash';

/** The template of the youngest pod: while a fixed version is coming up, the old one's crash loop is not fatal. */
function currentTemplate(pods: readonly KubeObject[]): string | undefined {
  const youngest = pods.toSorted((a, b) =>
    (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? ''),
  )[0];
  return youngest?.metadata.labels?.[TEMPLATE_HASH];
}

function complaintsOf(pod: KubeObject, now: number): Complaint[] {
  const status = (pod.status ?? {}) as PodStatus;
  const say = (reason: string, words: readonly string[], rank: number, fatal = false): Complaint => ({
    reason,
    message: [`pod ${pod.metadata.name}`, reason, words.filter((part) => part !== '').join('; ')]
      .filter((part) => part !== '')
      .join(': '),
    fatal,
    rank,
  });
  const found: Complaint[] = [];
  if (status.phase === 'Failed') found.push(say(status.reason ?? 'Failed', [status.message ?? ''], RANK.failed));
  const scheduled = status.conditions?.find(
    (condition) => condition.type === 'PodScheduled' && condition.status === 'False',
  );
  if (scheduled !== undefined)
    found.push(say(scheduled.reason ?? 'Unschedulable', [scheduled.message ?? ''], RANK.unschedulable));
  for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
    const complaint = containerComplaint(container, say, now);
    if (complaint !== null) found.push(complaint);
  }
  return found;
}

type Say = (reason: string, words: readonly string[], rank: number, fatal?: boolean) => Complaint;

function containerComplaint(container: ContainerStatus, say: Say, now: number): Complaint | null {
  const { waiting, terminated } = container.state ?? {};
  const died = terminated ?? container.lastState?.terminated;
  const history = [lastExit(container, died)];
  if (waiting?.reason === 'CrashLoopBackOff')
    return say('CrashLoopBackOff', [waiting.message ?? '', ...history], RANK.loop, true);
  if (loops(container, died, now))
    return say(died?.reason ?? 'Error', ['restarts again and again', ...history], RANK.loop, true);
  if (waiting !== undefined && !ON_ITS_WAY.has(waiting.reason ?? ''))
    return say(waiting.reason ?? 'Waiting', [waiting.message ?? '', ...history], RANK.waiting);
  const failed = died !== undefined && died.exitCode !== 0 && container.ready !== true;
  return failed ? say(died.reason ?? 'Error', [died.message ?? '', ...history], RANK.died) : null;
}

/** Between two back-offs a looping container is running: the kubelet's word for it is missing for just that moment. */
function loops(container: ContainerStatus, died: Terminated | undefined, now: number): boolean {
  if (container.ready === true || (container.restartCount ?? 0) < RESTARTS_OF_A_LOOP || died === undefined)
    return false;
  const at = Date.parse(died.finishedAt ?? '');
  return Number.isFinite(at) && now - at <= RECENT_MS;
}

/** `container app: last exit 137 (OOMKilled), 4 restarts` */
function lastExit(container: ContainerStatus, died: Terminated | undefined): string {
  const restarts = container.restartCount ?? 0;
  const exit =
    died === undefined
      ? ''
      : `last exit ${died.exitCode ?? '?'}${died.reason === undefined ? '' : ` (${died.reason})`}`;
  const times = restarts === 0 ? '' : `${restarts} restart${restarts === 1 ? '' : 's'}`;
  return `container ${container.name}${exit === '' && times === '' ? '' : `: ${[exit, times].filter((part) => part !== '').join(', ')}`}`;
}
