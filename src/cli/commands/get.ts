/** `sluice get`. */
import type { Call } from '../command.ts';
import { ROLLOUTS } from '../kinds/rollouts.ts';
import * as looking from '../looking.ts';

export const run = (call: Call) => looking.get(call, ROLLOUTS);
