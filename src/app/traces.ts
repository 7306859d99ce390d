/**
 * After a rollback: which requests of the canary failed, as the tracing has kept them. No rollback ever waits for Jaeger.
 *
 * Spans arrive late: proxies send them in batches, and the collector stores them later. So it is looked twice, and what
 * was found is kept at once.
 */
import type { Instant, Millis, Target } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import type { Afterwarded, Afterwards, AfterwardsPorts, Tried } from './afterwards.ts';
import { DONE, later, startAfterwards, tryOnce } from './afterwards.ts';
import type { KeptTraces, Logger, Message, TraceAnswer, TraceSearch, TraceSource, TraceStore } from './ports.ts';
import type { Repeating } from './repeat.ts';
import { type Tracer, UNTRACED } from './tracer.ts';

/** Name of the channel, whose messages are rollbacks only. */
export const TRACES = 'traces';

/** When it is looked, after the beginning of the rollback. */
const LOOKS: readonly Millis[] = [10_000, 60_000];
/** Further looks, where nobody could be asked at the last of those; after them it is given up. */
const PATIENCE: readonly Millis[] = [3 * 60_000, 10 * 60_000];
/** Where a worker comes late to an old rollback: so many claims at least before it is given up. */
const LEAST_TRIES = 3;
const AGAIN: Millis = 30_000;
/** Requests that were under way when the weight was taken away. */
const TAIL: Millis = 30_000;
/** How far before the rollback is searched: a canary may have failed for a while before it was proven. */
const REACH: Millis = 30 * 60_000;
const KEPT = 20;
const CHANNEL: Afterwards = { channel: TRACES, lease: 60_000 };
const LATE = 'spans arrive late';
const IDLE: Millis = 1_000;

export interface TracePorts extends AfterwardsPorts {
  readonly traces: TraceStore;
  /** null: the cluster has no tracing. */
  sourceOf(target: Target): TraceSource | null;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly log: Logger;
}

export const startTraces = (ports: TracePorts): Repeating =>
  startAfterwards('traces of rollbacks', IDLE, () => lookOnce(ports), ports.log);

/** One look for the oldest rollback that is due. */
export const lookOnce = (ports: TracePorts): Promise<Afterwarded> =>
  tryOnce(CHANNEL, ports, async (message, { rollout, now }) => {
    const source = ports.sourceOf(rollout.plan.target);
    // Tracing was taken out of the cluster's configuration since.
    if (source === null) return DONE;
    const age = now - message.fact.at;
    const [soonest = 0] = LOOKS;
    return age < soonest ? later(soonest - age, LATE) : look(ports, message, rollout, source, now);
  });

async function look(
  ports: TracePorts,
  message: Message,
  rollout: Rollout,
  source: TraceSource,
  now: Instant,
): Promise<Tried> {
  const { fact, rolloutId } = message;
  const from = Math.max(rollout.createdAt, fact.at - REACH);
  const to = Math.min(now, fact.at + TAIL);
  const { tracer = UNTRACED } = ports;
  const answer = await tracer.step({ rollout: rolloutId, step: fact.step }, 'traces.search', {}, () =>
    source.failing({ target: rollout.plan.target, from, to, limit: KEPT }),
  );
  if (answer.ok) await ports.traces.keep(rolloutId, fact.seq, answer.traces);
  const next = nextLook(now - fact.at, answer.ok, message.attempts ?? 0);
  if (next !== null) return later(next, answer.ok ? LATE : answer.message);
  const kept = (await ports.traces.of(rolloutId)).traces.length;
  const search = { ...conclusion(answer, kept), at: now, from, to, link: answer.link };
  await ports.traces.conclude(rolloutId, fact.seq, search);
  ports.log.info({ rolloutId, result: search.result, traces: kept }, `traces of the rollback: ${search.message}`);
  return DONE;
}

/** On demand: what failed of the canary in the last half hour. Keeps nothing. null: the cluster has no tracing. */
export async function lookNow(
  { sourceOf }: Pick<TracePorts, 'sourceOf'>,
  { createdAt, plan }: Rollout,
  now: Instant,
): Promise<KeptTraces | null> {
  const source = sourceOf(plan.target);
  if (source === null) return null;
  const from = Math.max(createdAt, now - REACH);
  const answer = await source.failing({ target: plan.target, from, to: now, limit: KEPT });
  const traces = answer.ok ? answer.traces : [];
  const search = { ...conclusion(answer, traces.length), at: now, from, to: now, link: answer.link };
  return { traces, search, waiting: false };
}

/** Milliseconds until it is looked again; null: this was the last time. `tries`: claims before this one. */
export function nextLook(age: Millis, answered: boolean, tries: number): Millis | null {
  const moments = answered ? LOOKS : [...LOOKS, ...PATIENCE];
  const next = moments.find((moment) => moment > age);
  if (next !== undefined) return next - age;
  return answered || tries + 1 >= LEAST_TRIES ? null : AGAIN;
}

/** What was found at an earlier look stands also where the last one had no answer. */
function conclusion(answer: TraceAnswer, kept: number): Pick<TraceSearch, 'result' | 'message'> {
  const found = `${kept} failing ${kept === 1 ? 'trace' : 'traces'} of the canary`;
  if (!answer.ok)
    return kept > 0
      ? { result: 'found', message: `${found}; there may be more: at the last look ${answer.message}` }
      : { result: 'could_not_ask', message: answer.message };
  if (kept > 0) return { result: 'found', message: found };
  const looked =
    answer.looked === 0 ? 'no trace with errors was there' : `none of ${answer.looked} traces was the canary's failure`;
  return {
    result: 'none_sampled',
    message: `none sampled: ${looked}. Only a part of the requests is ever traced (1 % by default): this does not say that none failed`,
  };
}
