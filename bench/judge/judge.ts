/** What every judge in the benchmark is: something that is shown ticks, and at any of them rolls back or goes on. */
import type { Scenario } from './scenarios.ts';
import type { Tick } from './stream.ts';

export type Answer = 'go' | 'rollback' | 'promote';

export interface Run {
  /** The canary's share that the judge's own ramp wants now. On the common schedule nobody asks. */
  readonly weight: number;
  observe(tick: Tick): Answer;
  /** ln of the evidence against the canary, of judges that have one. */
  readonly logEvidence?: number;
  /** Seconds for which the judge has stopped the schedule so far, because of failed checks; absent: it never does. */
  readonly frozen?: number;
}

export interface Judge {
  readonly name: string;
  /** Has it a ramp of its own? */
  readonly native: boolean;
  /** `seed`: the run's; a judge that knows the service's past takes one of its pasts by it. */
  start(scenario: Scenario, seed: number): Run;
}
