/** What nobody may miss of a fleet rollout, as `../alert.ts` has it for a rollout. */
import type { AlertKind } from '../alert.ts';
import type { Fleet, FleetFact, FleetFactType } from './fleet.ts';

const KINDS: Readonly<Partial<Record<FleetFactType, AlertKind>>> = {
  paused: 'needs_person',
  child_held: 'needs_person',
  promoted: 'goes_on',
  rollback_started: 'going_back',
  ended: 'ended',
};

/** Throws for a fact that nobody is told of. */
export function fleetAlertKind({ type }: Pick<FleetFact, 'type'>): AlertKind {
  const kind = KINDS[type];
  if (kind === undefined) throw new Error(`a fact of type ${type} is no alert`);
  return kind;
}

/** The facts of one commit that are told. A wave that is let through before it asked needs nobody to hear of it. */
export const fleetAlerts = (previous: Pick<Fleet, 'phase'>, facts: readonly FleetFact[]): readonly FleetFact[] =>
  facts.filter(({ type }) => KINDS[type] !== undefined && (type !== 'promoted' || previous.phase.name === 'paused'));
