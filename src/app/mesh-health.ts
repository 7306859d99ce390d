/**
 * At a rollback: how the mesh's own console saw the service and the canary, kept with the outcome. Like the search for
 * traces it is a channel of the outbox, so that no rollback waits for Kiali and a killed worker is followed by another.
 *
 * Kiali tells of now and keeps no past. So it is asked at once, and a look that comes too late is not taken for one of then.
 */
import type { Instant, Millis, Target } from '../domain/plan.ts';
import type {
  HealthAnswer,
  HealthSnapshot,
  HealthSource,
  HealthStore,
  Logger,
  Message,
  Outbox,
  RolloutStore,
} from './ports.ts';
import { type Repeating, repeat } from './repeat.ts';
import { type Tracer, UNTRACED } from './tracer.ts';

/** Name of the channel, whose messages are rollbacks only. */
export const MESH_HEALTH = 'mesh-health';

/** The rates are those of a minute: later than this, nothing of them is about the time of the rollback. */
const FRESH: Millis = 60_000;
const AGAIN: Millis = 10_000;
/** Longer than one look may take. */
const LEASE: Millis = 30_000;
const IDLE: Millis = 1_000;

export interface HealthPorts {
  readonly outbox: Outbox;
  readonly store: Pick<RolloutStore, 'load'>;
  readonly health: HealthStore;
  /** null: no console is known that shows this target. */
  sourceOf(target: Target): HealthSource | null;
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer;
  readonly log: Logger;
}

export type HealthLooked = 'idle' | 'postponed' | 'concluded';

export const startHealth = (ports: HealthPorts): Repeating =>
  repeat('health at rollbacks', async () => ((await healthOnce(ports)) === 'idle' ? IDLE : 0), ports.log);

/** One look for the oldest rollback that is due. Throws only where Postgres fails; the message is then due again. */
export async function healthOnce(ports: HealthPorts): Promise<HealthLooked> {
  const { outbox, store, health, tracer = UNTRACED } = ports;
  const [message] = await outbox.claim(MESH_HEALTH, 1, LEASE);
  if (message === undefined) return 'idle';
  const { rolloutId, fact } = message;
  const loaded = await store.load(rolloutId);
  const source = loaded === null ? null : ports.sourceOf(loaded.rollout.plan.target);
  // Deleted, or of a target that no console shows.
  if (loaded === null || source === null) return concluded(ports, message);
  const age = loaded.now - fact.at;
  const answer: HealthAnswer =
    age > FRESH
      ? {
          ok: false,
          message: 'nobody asked within a minute of the rollback, and Kiali keeps no past',
          link: source.link(loaded.rollout.plan.target),
        }
      : await tracer.step({ rollout: rolloutId, step: fact.step }, 'kiali.health', {}, () =>
          source.now(loaded.rollout.plan.target),
        );
  if (!answer.ok && age + AGAIN < FRESH) {
    await outbox.postpone(MESH_HEALTH, message.id, AGAIN, answer.message);
    return 'postponed';
  }
  const snapshot = snapshotOf(answer, loaded.now);
  await health.keep(rolloutId, fact.seq, snapshot);
  ports.log.info({ rolloutId, result: snapshot.result }, `health at the rollback: ${snapshot.message}`);
  return concluded(ports, message);
}

async function concluded({ outbox }: HealthPorts, { id }: Message): Promise<HealthLooked> {
  await outbox.delivered(MESH_HEALTH, id);
  return 'concluded';
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
