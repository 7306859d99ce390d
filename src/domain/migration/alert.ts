/** What nobody may miss of a migration, as `../alert.ts` has it for a rollout. */
import type { AlertKind } from '../alert.ts';
import type { Migration, MigrationFact, MigrationFactType } from './migration.ts';

/** A caller without mTLS and a policy that cannot be written stay until somebody does something. */
const KINDS: Readonly<Partial<Record<MigrationFactType, AlertKind>>> = {
  blocked: 'needs_person',
  paused: 'needs_person',
  mesh_trouble: 'needs_person',
  unblocked: 'goes_on',
  resumed: 'goes_on',
  mesh_recovered: 'goes_on',
  strict_in_force: 'goes_on',
  rollback_started: 'going_back',
  ended: 'ended',
};

/** Throws for a fact that nobody is told of. */
export function migrationAlertKind({ type }: Pick<MigrationFact, 'type'>): AlertKind {
  const kind = KINDS[type];
  if (kind === undefined) throw new Error(`a fact of type ${type} is no alert`);
  return kind;
}

/** The facts of one commit that are told. */
export const migrationAlerts = (
  previous: Pick<Migration, 'trouble'>,
  next: Pick<Migration, 'phase'>,
  facts: readonly MigrationFact[],
): readonly MigrationFact[] =>
  facts.filter(({ type }) => {
    switch (type) {
      case 'strict_in_force':
        // The one sign that a write which was refused has come through.
        return previous.trouble !== null;
      case 'mesh_recovered':
        // On the way back only the end is good news.
        return next.phase.name !== 'rolling_back';
      default:
        return KINDS[type] !== undefined;
    }
  });
