/**
 * One look at one fleet rollout: load, observe its children, advance, commit, and only then bring about what the row asks
 * for. Safe to run twice, late, in any process: a child is started under a key made of fleet, wave and cluster, in a
 * transaction that finds the fleet still at that wave.
 */
import type { ChildSeen, FleetChange, FleetCommand, FleetExpectation, Wish } from '../../domain/fleet/advance.ts';
import {
  advanceFleet,
  childHeld,
  childRefused,
  isFleetRefusal,
  orderFleet,
  wishes,
} from '../../domain/fleet/advance.ts';
import type { Fleet } from '../../domain/fleet/fleet.ts';
import { childDocument, fleetIsLive } from '../../domain/fleet/fleet.ts';
import type { Instant, Millis } from '../../domain/plan.ts';
import type { Rollout } from '../../domain/rollout.ts';
import { statusOf } from '../../domain/rollout.ts';
import type { Doer } from '../audit/act.ts';
import { done } from '../audit/act.ts';
import { noteFulfilled } from '../audit/log.ts';
import { command } from '../commands.ts';
import type { Logger, Principal } from '../ports.ts';
import { FleetMovedOn, StoreUnavailable } from '../ports.ts';
import { revert } from '../revert.ts';
import { refuses } from '../severity.ts';
import type { StartPorts } from '../start.ts';
import { start } from '../start.ts';
import type { StartResult } from '../usecases.ts';
import type { FleetCommandResult, FleetStore } from './ports.ts';

export interface FleetPorts {
  readonly fleets: FleetStore;
  readonly start: StartPorts;
  /** Tests only: dies here. */
  readonly crashPoint?: (at: 'committed' | 'started') => void | Promise<void>;
}

const LOOK_AGAIN: Millis = 1_000;
/** Where only time and pods are waited for. A person's word is looked at at once. */
const LOOK_SLOWLY: Millis = 5_000;
/** A look may take as long as the preflight of a wave; until then others leave the row alone. */
const CLAIM: Millis = 30_000;
const AT_ONCE = 20;

/** Looks at every fleet rollout that is due. Answers in how long to come again. */
export async function fleetStep(ports: FleetPorts, log: Logger): Promise<Millis> {
  const ids = await ports.fleets.due(CLAIM, AT_ONCE);
  await Promise.all(
    ids.map(async (id) => {
      try {
        await lookAtFleet(ports, id);
      } catch (error) {
        log.error({ fleetId: id, err: error }, 'a look at a fleet rollout failed; it is looked at again');
      }
    }),
  );
  return LOOK_AGAIN;
}

export async function lookAtFleet(ports: FleetPorts, id: string): Promise<void> {
  const { fleets } = ports;
  // The row before its children: whatever was started while the row allowed it is seen then.
  const loaded = await fleets.load(id);
  if (loaded === null || !fleetIsLive(loaded.fleet)) return;
  const { fleet, now } = loaded;
  const change = advanceFleet(fleet, { at: now, children: await childrenSeen(ports, fleet) });
  const still = wishes(change.fleet).length === 0;
  const next = await commit(ports, fleet, change, still ? nextLook(change.fleet, now) : CLAIM);
  if (next === null || still) return;
  await ports.crashPoint?.('committed');
  let present = next;
  for (const wish of wishes(next)) present = await bringAbout(ports, present, wish, now);
  // Told to look again, and the claim given back.
  await commit(ports, present, { fleet: present, facts: [] }, LOOK_AGAIN);
}

function nextLook({ phase, spec }: Fleet, now: Instant): Millis {
  if (phase.name === 'paused') return LOOK_SLOWLY;
  if (phase.name !== 'baking') return LOOK_AGAIN;
  const left = phase.since + (spec.waves[phase.wave]?.bake ?? 0) - now;
  return Math.max(0, Math.min(LOOK_SLOWLY, left));
}

/** null: somebody else moved first, and what is wanted now is on the row. */
async function commit(
  { fleets }: FleetPorts,
  previous: Fleet,
  change: FleetChange,
  lookIn: Millis,
): Promise<Fleet | null> {
  const next = { ...change.fleet, version: previous.version + 1 };
  const landed = await fleets.commit({
    previous,
    next,
    facts: change.facts,
    lookIn: fleetIsLive(next) ? lookIn : null,
  });
  return landed ? next : null;
}

async function childrenSeen(ports: FleetPorts, fleet: Fleet): Promise<readonly ChildSeen[]> {
  const { store } = ports.start;
  const children = await store.childrenOf(fleet.id);
  return Promise.all(
    children.map(async (child): Promise<ChildSeen> => {
      const promoted = statusOf(child) === 'succeeded';
      const back = promoted ? await store.revertOf(child.id) : null;
      return {
        wave: child.fleet?.wave ?? 0,
        cluster: child.plan.target.cluster,
        rollout: child.id,
        status: statusOf(child),
        message: wordsOf(child),
        revert: back === null ? null : { rollout: back.id, status: statusOf(back) },
        unwell: promoted && back === null && watchesPods(fleet) ? await unwell(ports, child) : null,
      };
    }),
  );
}

const watchesPods = ({ phase }: Fleet): boolean => phase.name !== 'rolling_back' && phase.name !== 'ended';

const wordsOf = ({ phase }: Rollout): string => {
  if (phase.name === 'ended' || phase.name === 'rolling_back') return phase.outcome.message;
  return phase.name === 'paused' ? phase.message : '';
};

/** After the promotion no check is made any more; that the pods run is still seen. What cannot be read says nothing. */
async function unwell({ start: { meshes } }: FleetPorts, { plan }: Rollout): Promise<string | null> {
  const canary = await meshes.workload(plan.target, 'canary', { fresh: true });
  if (!canary.ok) return canary.code === 'not_found' ? canary.message : null;
  if (canary.crash?.fatal === true) return canary.crash.message;
  return canary.ready > 0 ? null : `deployment ${canary.name} has no ready pod (0 of ${canary.replicas})`;
}

async function bringAbout(ports: FleetPorts, fleet: Fleet, wish: Wish, at: number): Promise<Fleet> {
  switch (wish.name) {
    case 'start': {
      const why = await startChild(ports, fleet, wish);
      await ports.crashPoint?.('started');
      return why === null ? fleet : keep(ports, fleet, childRefused(fleet, at, wish.wave, wish.cluster, why));
    }
    case 'abort': {
      const aborted = { name: 'abort', reason: goingBack(fleet) } as const;
      await command(ports.start, { id: wish.rollout, command: aborted, by: doerOf(fleet) });
      return fleet;
    }
    case 'revert': {
      const held = await revertChild(ports, fleet, wish.rollout);
      return held === null ? fleet : keep(ports, fleet, childHeld(fleet, at, wish.wave, wish.cluster, held));
    }
    default:
      return wish satisfies never;
  }
}

/** Losing this commit loses only the words: the next look tries again and is told the same. */
async function keep(ports: FleetPorts, fleet: Fleet, change: FleetChange): Promise<Fleet> {
  if (change.fleet === fleet) return fleet;
  return (await commit(ports, fleet, change, CLAIM)) ?? fleet;
}

const actorOf = ({ id }: Fleet): string => `fleet rollout ${id}`;
const doerOf = (fleet: Fleet): Doer => ({ id: `fleet:${fleet.id}`, name: actorOf(fleet) });
const goingBack = ({ phase }: Fleet): string => (phase.name === 'rolling_back' ? phase.message : '');

/** null: it is started, or was before, or must not be any more; otherwise why it cannot. */
async function startChild(
  { start: ports }: FleetPorts,
  fleet: Fleet,
  { wave, cluster }: Extract<Wish, { name: 'start' }>,
): Promise<string | null> {
  const principal: Principal = {
    ...doerOf(fleet),
    name: `${actorOf(fleet)} (${fleet.createdBy})`,
    role: 'deployer',
    persons: fleet.startedBy?.persons ?? [],
  };
  try {
    const result = await start(ports, {
      document: childDocument(fleet.spec, wave, cluster),
      principal,
      idempotency: { key: `${wave}/${cluster}`, hash: 'fleet' },
      fleet: { id: fleet.id, wave },
    });
    return refusalOf(result);
  } catch (error) {
    if (error instanceof FleetMovedOn) return null;
    throw error;
  }
}

function refusalOf(result: StartResult): string | null {
  switch (result.kind) {
    case 'created':
    case 'replayed':
    case 'joined':
      return null;
    case 'invalid':
      return result.problems.map(({ pointer, message }) => `${pointer}: ${message}`).join('; ');
    case 'preflight_failed':
      return result.findings
        .filter(refuses)
        .map(({ check, message }) => `${check}: ${message}`)
        .join('; ');
    case 'conflict':
      return `rollout ${result.live.id} of the same target is ${statusOf(result.live)}`;
    case 'key_reused':
      return 'another rollout was started under its key';
    default:
      return result satisfies never;
  }
}

/** What no time mends: the traffic is not the canary's any more, or is a later rollout's. */
const FINAL: ReadonlySet<string> = new Set(['nothing_to_revert', 'promoted_since', 'not_promoted']);

/** null: it goes back. Never by force: a fleet that goes back by itself asks more of the old version than a person may. */
async function revertChild(
  { start: ports }: FleetPorts,
  fleet: Fleet,
  id: string,
): Promise<Fleet['children'][0][0]['held']> {
  const result = await revert(ports, {
    id,
    reason: goingBack(fleet),
    force: false,
    anytime: true,
    principal: doerOf(fleet),
  });
  switch (result.kind) {
    case 'reverting':
      return null;
    case 'refused':
      return { message: result.refusal.message, again: !FINAL.has(result.refusal.code) };
    case 'conflict':
      return { message: `rollout ${result.live.id} of the same object is ${statusOf(result.live)}`, again: true };
    case 'not_found':
      return { message: `rollout ${id} was deleted by the retention`, again: false };
    default:
      return result satisfies never;
  }
}

const RACES = 10;

/** A person's word: load, decide, commit. The next look brings it about. */
export async function commandFleet(
  { fleets, start: { audit } }: FleetPorts,
  id: string,
  wanted: FleetCommand,
  principal: Principal,
  expected: FleetExpectation = {},
): Promise<FleetCommandResult> {
  const what = { action: `fleet.${wanted.name}`, id, reason: wanted.reason } as const;
  for (let race = 0; race < RACES; race += 1) {
    const loaded = await fleets.load(id);
    if (loaded === null) return { kind: 'not_found' };
    const { fleet, now } = loaded;
    const decided = orderFleet(fleet, wanted, principal.name, now, expected);
    if (isFleetRefusal(decided)) return { kind: 'refused', refusal: decided, fleet };
    if (decided.fleet === fleet) {
      await noteFulfilled(audit, principal, { ...what, code: 'unchanged' });
      return { kind: 'done', fleet };
    }
    const next = { ...decided.fleet, version: fleet.version + 1 };
    const lookIn = fleetIsLive(next) ? 0 : null;
    if (await fleets.commit({ previous: fleet, next, facts: decided.facts, lookIn, act: done(principal, what) }))
      return { kind: 'done', fleet: next };
  }
  throw new StoreUnavailable(
    `fleet rollout ${id}: ${RACES} attempts at ${wanted.name} lost against other writers; try again`,
  );
}
