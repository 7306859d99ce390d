/** Which metrics providers answer now. None of them keeps the server from being ready: rollbacks go on without. */
import { duration } from '../domain/format.ts';
import type { Millis } from '../domain/plan.ts';
import type { MetricsProvider } from './ports.ts';
import { inTime } from './unhurried.ts';

export interface MetricsStatus {
  readonly cluster: string;
  readonly provider: string;
  /** null: it can be reached; otherwise what is wrong. */
  readonly wrong: string | null;
}

/** One that hangs is given up then: later than it gives up by itself, because its own words name the address. */
const WITHIN: Millis = 6_000;

/** All are asked at once; by cluster, in the order of the configuration. */
export const metricsStatus = (
  providers: readonly { readonly cluster: string; readonly provider: Pick<MetricsProvider, 'name' | 'ping'> }[],
  within = WITHIN,
): Promise<readonly MetricsStatus[]> =>
  Promise.all(
    providers.map(async ({ cluster, provider }) => ({
      cluster,
      provider: provider.name,
      wrong: await inTime(
        provider.ping(),
        within,
        `metrics provider ${provider.name} did not answer within ${duration(within)}`,
      ),
    })),
  );
