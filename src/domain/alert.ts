/**
 * What nobody may miss of a rollout: that it needs a person, that it no longer does, that it goes back, and how it ended.
 * Each is a fact of the commit that brought it about, so it is told once, whatever fails afterwards.
 */
import type { Fact, FactType, Rollout } from './rollout.ts';

export const ALERT_KINDS = ['needs_person', 'goes_on', 'going_back', 'ended'] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

const KINDS: Readonly<Partial<Record<FactType, AlertKind>>> = {
  paused: 'needs_person',
  gate_overdue: 'needs_person',
  stable_short: 'needs_person',
  mesh_trouble: 'needs_person',
  preparation_left: 'needs_person',
  resumed: 'goes_on',
  promote_requested: 'goes_on',
  weight_wanted: 'goes_on',
  rollback_started: 'going_back',
  ended: 'ended',
};

/** Of a fact that is told. Throws for any other: nobody was to be told of it. */
export function alertKind({ type }: Pick<Fact, 'type'>): AlertKind {
  const kind = KINDS[type];
  if (kind === undefined) throw new Error(`a fact of type ${type} is no alert`);
  return kind;
}

/** The facts of one commit that are told. */
export const alertsOf = (previous: Rollout, next: Rollout, facts: readonly Fact[]): readonly Fact[] =>
  facts.filter(({ type, data }) => {
    switch (type) {
      case 'ended':
      case 'rollback_started':
      case 'stable_short':
      case 'gate_overdue':
      case 'preparation_left':
        return true;
      case 'paused':
      case 'resumed':
        // A gate that is waited for needs nobody before its deadline.
        return data['cause'] !== 'gate';
      case 'promote_requested':
        // Any other pause that a promotion ends has a fact of its own.
        return previous.phase.name === 'paused' && previous.phase.cause === 'approval';
      case 'weight_wanted':
        // Before the first step nothing is paused: that it goes on past a late gate is told by the step.
        return previous.phase.name === 'pending' && Object.values(previous.gates ?? {}).some(({ overdue }) => overdue);
      case 'mesh_trouble':
        // While going forward, trouble that lasts becomes a pause. A rollback never pauses: this is the only word of it.
        return next.phase.name === 'rolling_back';
      default:
        return false;
    }
  });
