import { expect, it } from 'vitest';
import gatewayApi from '../../src/adapters/meshes/gateway-api.ts';
import { simulateSeeds } from './run.ts';

/** What is its own is how rules beside the weights are known and taken away: a tenth of the seeds of the other files. */
const seeds = Number(process.env['SLUICE_SEEDS'] ?? 20_000) / 10;
const one = process.env['SLUICE_SEED'];
const from = one === undefined ? 0 : Number(one);
const to = one === undefined ? seeds : from + 1;

it(
  `no invariant is violated in seeds ${from} to ${to - 1} with an HTTPRoute`,
  async () => {
    const report = await simulateSeeds(gatewayApi, from, to);
    expect(report.violations.slice(0, 20), 'replay one with SLUICE_SEED=<seed> npm test -- test/simulation').toEqual(
      [],
    );
    expect(report.writes).toBeGreaterThan(0);
  },
  30 * 60_000,
);
