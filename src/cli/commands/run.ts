/** `sluice run`. */
import type { Call } from '../command.ts';
import { ROLLOUTS } from '../kinds/rollouts.ts';
import * as starting from '../starting.ts';

export const run = (call: Call) => starting.run(call, ROLLOUTS);
