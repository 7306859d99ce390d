/** Channels of the outbox that hear of rollbacks only and look something up for them: no messages that people wait for. */
import { MESH_HEALTH } from './mesh-health.ts';
import { TRACES } from './traces.ts';

export const QUIET_CHANNELS: readonly string[] = [TRACES, MESH_HEALTH];
