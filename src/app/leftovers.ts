/**
 * What a rollout leaves on its mesh object when a person gives its rollback up: rules of its own, which would lead testers or
 * copies to the canary until the next rollout's first write. As soon as the object can be written again they are taken away.
 * Every other end is entered only when the object was read back without them.
 */
import { record, unchanged } from '../domain/change.ts';
import type { Millis } from '../domain/plan.ts';
import type { Fact, Outcome, Rollout } from '../domain/rollout.ts';
import type { Afterwarded, Afterwards, AfterwardsPorts, Tried } from './afterwards.ts';
import { DONE, later, startAfterwards, tryOnce } from './afterwards.ts';
import type { Cleared, LeftoverGateway, Loaded, Logger, Message, RolloutStore } from './ports.ts';
import type { Repeating } from './repeat.ts';

/** Name of the channel, whose messages are rollbacks that were given up. */
export const LEFTOVERS = 'leftovers';

const CHANNEL: Afterwards = { channel: LEFTOVERS, lease: 60_000 };
const IDLE: Millis = 2_000;
const BACK_OFF = { first: 5_000, most: 30 * 60_000 } as const;
/** An object that could not be written for so long is somebody else's by now; the next rollout's write takes them away. */
const PATIENCE: Millis = 3 * 86_400_000;

export interface LeftoverPorts extends AfterwardsPorts {
  readonly store: Pick<RolloutStore, 'load' | 'commit' | 'facts'>;
  readonly leftovers: LeftoverGateway;
  readonly log: Logger;
}

export const isGivenUp = ({ type, data }: Fact): boolean =>
  type === 'ended' && (data['outcome'] as Partial<Outcome> | undefined)?.code === 'given_up';

export const startLeftovers = (ports: LeftoverPorts): Repeating =>
  startAfterwards('leftovers', IDLE, () => clearOnce(ports), ports.log);

/** One try for the oldest rollout that is due. */
export const clearOnce = (ports: LeftoverPorts): Promise<Afterwarded> =>
  tryOnce(CHANNEL, ports, (message, loaded) => clear(ports, message, loaded));

async function clear({ store, leftovers, log }: LeftoverPorts, message: Message, loaded: Loaded): Promise<Tried> {
  const { rolloutId, fact, attempts = 0 } = message;
  // By a worker that died right after.
  if (await isTold(store, message)) return DONE;
  const { rollout, now } = loaded;
  const cleared = await leftovers.clear(rollout.plan.target, rolloutId);
  if (cleared.kind === 'trouble') {
    if (now - fact.at < PATIENCE) return later(backOff(attempts), cleared.message);
    log.warn({ rolloutId }, `what the rollout left is not taken away, for three days now: ${cleared.message}`);
    return DONE;
  }
  if (!(await tell(store, rollout, cleared, now))) return later(BACK_OFF.first, 'somebody else changed the rollout');
  log.info({ rolloutId, cleared: cleared.kind }, wordsOf(cleared));
  return DONE;
}

/** `tries`: claims before this one. */
export const backOff = (tries: number): Millis => Math.min(BACK_OFF.most, BACK_OFF.first * 2 ** Math.min(tries, 20));

type Settled = Exclude<Cleared, { kind: 'trouble' }>;

const wordsOf = (settled: Settled): string =>
  settled.kind === 'cleared'
    ? `${settled.object}: what the rollout had added was taken away (${settled.rules} ${settled.rules === 1 ? 'rule' : 'rules'}); the weights were left as they are`
    : `${settled.object}: nothing was taken away: ${settled.message}`;

async function isTold(store: Pick<RolloutStore, 'facts'>, { rolloutId, fact }: Message): Promise<boolean> {
  const since = await store.facts(rolloutId, fact.seq, 100);
  return since.some(({ type }) => type === 'leftovers_gone');
}

/** The end stays as it is: only the history goes on. */
function tell(store: Pick<RolloutStore, 'commit'>, rollout: Rollout, settled: Settled, at: number): Promise<boolean> {
  const { object } = settled;
  const rules = settled.kind === 'cleared' ? settled.rules : 0;
  const told = record(unchanged(rollout), at, 'leftovers_gone', wordsOf(settled), { object, rules });
  return store.commit({
    previous: rollout,
    next: { ...told.rollout, version: rollout.version + 1 },
    facts: told.facts,
    measurements: [],
    evidence: null,
    at,
    nextTickAt: null,
  });
}
