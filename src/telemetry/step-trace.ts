/** Ids of a step's trace, and of the span above all others in it: the same in every process, before and after a restart. */
import { createHash } from 'node:crypto';
import type { StepAt } from '../app/tracer.ts';

export interface StepIds {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
}

/** Parts of one hash: uniform, so that samplers may rest on them, and never all zero in practice, which would be invalid. */
export function stepIds({ rollout, step }: StepAt): StepIds {
  const hash = createHash('sha256')
    .update(`sluice step ${rollout} ${step ?? 'pending'}`)
    .digest('hex');
  return { traceId: hash.slice(0, 32), spanId: hash.slice(32, 48) };
}
