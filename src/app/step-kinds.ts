/** What a step is for. `weight`: it moves traffic; `promotion`: what follows the last step. */
import { PREPARATIONS } from '../domain/preparation.ts';
import { KINDS } from '../domain/temporary.ts';

export const STEP_KINDS = ['weight', ...KINDS, ...PREPARATIONS, 'promotion'] as const;
export type StepKind = (typeof STEP_KINDS)[number];
