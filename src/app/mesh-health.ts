/**
 * At a rollback: how the mesh's own console saw the service and the canary, kept with the outcome. No rollback waits for it.
 *
 * Kiali tells of now and keeps no past. So it is asked at once, and a look that comes too late is not taken for one of then.
 */
import type { Instant, Millis, Target } from '../domain/plan.ts';
import type { Afterwarded, Afterwards, AfterwardsPorts, Tried } from './afterwards.ts';
import { DONE, later, startAfterwards, tryOnce } from './afterwards.ts';
import type { HealthAnswer, HealthSnapshot, HealthSource, HealthStore, Loaded, Logger, Message } from './ports.ts';
import type { Repeating } from './repeat.ts';
import { type Tracer, UNTRACED } from './tracer.ts';

/** Name of the channel, whose messages are rollbacks only. */
export const MESH_HEALTH = 'mesh-health';

/** The rates are those of a minute: later than this, nothing of them is about the time of the rollback. */
const FRESH: Millis = 60_000;
const AGAIN: Millis = 10_000;
const CHANNEL: Afterwards = { channel: MESH_HEALTH, lease: 30_000 };
const IDLE: Millis = 1_000;

export interface HealthPorts extends AfterwardsPorts {
  readonly health: HealthStore;
  /** null: no console is known that shows this target. */
  sourceOf(target: Target): HealthSource | null;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly log: Logger;
}

export const startHealth = (ports: HealthPorts): Repeating =>
  startAfterwards('health at rollbacks', IDLE, () => healthOnce(ports), ports.log);

/** One look for the oldest rollback that is due. */
export const healthOnce = (ports: HealthPorts): Promise<Afterwarded> =>
  tryOnce(CHANNEL, ports, (message, loaded) => look(ports, message, loaded));

async function look(
  { health, sourceOf, tracer = UNTRACED, log }: HealthPorts,
  { rolloutId, fact }: Message,
  { rollout, now }: Loaded,
): Promise<Tried> {
  const { target } = rollout.plan;
  const source = sourceOf(target);
  if (source === null) return DONE;
  const age = now - fact.at;
  const answer: HealthAnswer =
    age > FRESH
      ? {
          ok: false,
          message: 'nobody asked within a minute of the rollback, and Kiali keeps no past',
          link: source.link(target),
        }
      : await tracer.step({ rollout: rolloutId, step: fact.step }, 'kiali.health', {}, () => source.now(target));
  if (!answer.ok && age + AGAIN < FRESH) return later(AGAIN, answer.message);
  const snapshot = snapshotOf(answer, now);
  await health.keep(rolloutId, fact.seq, snapshot);
  log.info({ rolloutId, result: snapshot.result }, `health at the rollback: ${snapshot.message}`);
  return DONE;
}

/** What is not known is said; no requests are no health. */
export function snapshotOf(answer: HealthAnswer, at: Instant): HealthSnapshot {
  const { link } = answer;
  if (!answer.ok) return { at, result: 'could_not_ask', message: answer.message, service: null, canary: null, link };
  const { service, canary } = answer;
  const said = [service, canary].flatMap((one) => (one === null ? [] : [one.message]));
  const unknown = [service === null ? 'the service' : '', canary === null ? "the canary's workload" : ''].filter(
    (name) => name !== '',
  );
  const message = [...said, ...(unknown.length === 0 ? [] : [`Kiali knows nothing of ${unknown.join(' and ')}`])].join(
    '; ',
  );
  const result = said.length === 0 ? 'unknown' : 'taken';
  return { at, result, message, service, canary, link };
}
