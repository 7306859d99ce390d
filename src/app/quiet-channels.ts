/** Channels of the outbox whose messages are work to be done after a fact: nobody is told, and no alert counts what waits. */
import type { Fact } from '../domain/rollout.ts';
import { isGivenUp, LEFTOVERS } from './leftovers.ts';
import { MESH_HEALTH } from './mesh-health.ts';
import { TRACES } from './traces.ts';

const isRollback = ({ type }: Fact): boolean => type === 'rollback_started';

/** Of each, the facts that it hears of. */
const HEARS: Readonly<Record<string, (fact: Fact) => boolean>> = {
  [TRACES]: isRollback,
  [MESH_HEALTH]: isRollback,
  [LEFTOVERS]: isGivenUp,
};

export const QUIET_CHANNELS: readonly string[] = Object.keys(HEARS);

/** null: no quiet channel. */
export const heardBy = (channel: string): ((fact: Fact) => boolean) | null => HEARS[channel] ?? null;
