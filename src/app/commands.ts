/** Commands of people and pipelines: load, decide, commit, wake. The tick brings them about. */
import type { Command } from '../domain/command.ts';
import { isRefused, movedOn, order } from '../domain/command.ts';
import type { Identities } from '../domain/person.ts';
import { isLive } from '../domain/rollout.ts';
import type { Known } from './approver.ts';
import { approverOf } from './approver.ts';
import type { Doer, What } from './audit/act.ts';
import { done } from './audit/act.ts';
import type { AuditLog } from './audit/log.ts';
import { noteFulfilled } from './audit/log.ts';
import type { Logger, Principal, RolloutStore, TickQueue } from './ports.ts';
import { StoreUnavailable } from './ports.ts';
import type { StartPorts } from './start.ts';
import { start } from './start.ts';
import type { CommandResult } from './usecases.ts';

export interface CommandPorts {
  readonly store: RolloutStore;
  readonly queue: TickQueue;
  readonly audit: Pick<AuditLog, 'note'>;
  readonly log: Logger;
  /** Which names are one person's; absent: nothing is said of that. */
  readonly identities?: Identities;
}

export interface CommandRequest {
  readonly id: string;
  readonly command: Command;
  readonly by: Doer & Known;
  readonly expectedStep?: number | undefined;
  readonly expectedVersion?: number | undefined;
}

/** Ticks commit all the time: a command that lost a race is decided again on the new row, so often at most. */
const RACES = 10;

export async function command(ports: CommandPorts, request: CommandRequest): Promise<CommandResult> {
  for (let race = 0; race < RACES; race += 1) {
    const loaded = await ports.store.load(request.id);
    if (loaded === null) return { kind: 'not_found' };
    const { rollout, now } = loaded;
    const { command: wanted, by, expectedStep, expectedVersion } = request;
    const actor = by.name;
    const what = whatOf(request);
    const decided = order(rollout, {
      command: wanted,
      actor,
      by: approverOf(by),
      known: ports.identities,
      at: now,
      expectedStep,
      expectedVersion,
    });
    if (isRefused(decided)) return { kind: 'refused', refusal: decided, rollout };
    if (decided.rollout === rollout) {
      await noteFulfilled(ports.audit, by, { ...what, code: 'unchanged' });
      return { kind: 'done', rollout };
    }
    const next = { ...decided.rollout, version: rollout.version + 1 };
    const committed = await ports.store.commit({
      previous: rollout,
      next,
      facts: decided.facts,
      measurements: [],
      evidence: null,
      at: now,
      nextTickAt: isLive(next) ? now : null,
      act: done(by, what),
    });
    if (!committed) continue;
    ports.log.info({ rolloutId: rollout.id, command: wanted.name, actor }, `${wanted.name} by ${actor}`);
    if (isLive(next))
      await ports.queue.wake(rollout.id, 0, next.phase.name === 'rolling_back' ? 'rollback' : 'command');
    return { kind: 'done', rollout: next };
  }
  throw new StoreUnavailable(
    `rollout ${request.id}: ${RACES} attempts at ${request.command.name} lost against other writers; try again`,
  );
}

const whatOf = ({ id, command: { name, reason } }: CommandRequest): What => ({ action: `rollout.${name}`, id, reason });

/** A retry of an ended rollout is a new rollout of the same plan; of a live one, a look at once. */
export async function retry(
  ports: CommandPorts,
  startPorts: StartPorts,
  request: CommandRequest,
  principal: Principal,
): Promise<CommandResult> {
  const loaded = await ports.store.load(request.id);
  if (loaded === null) return { kind: 'not_found' };
  const { rollout, now } = loaded;
  if (rollout.phase.name !== 'ended' || rollout.phase.status === 'succeeded') return command(ports, request);
  const { by, expectedStep, expectedVersion } = request;
  const actor = by.name;
  const moved = movedOn(rollout, { command: request.command, actor, at: now, expectedStep, expectedVersion });
  if (moved !== null) return { kind: 'refused', refusal: moved, rollout };
  if (rollout.reverts !== undefined)
    return {
      kind: 'refused',
      refusal: {
        code: 'finished',
        message: `rollout ${rollout.id} took rollout ${rollout.reverts} back and has ended as ${rollout.phase.status}; to release again, start the plan anew`,
      },
      rollout,
    };
  const result = await start(startPorts, {
    document: await ports.store.source(request.id),
    principal,
    idempotency: null,
    retries: whatOf(request),
  });
  return result.kind === 'created' || result.kind === 'joined'
    ? { kind: 'started', rollout: result.rollout }
    : { kind: 'start_failed', result };
}
