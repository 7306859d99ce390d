import { expect, it } from 'vitest';
import istio from '../../src/adapters/meshes/istio.ts';
import { simulateSeeds } from './run.ts';

/** Two files, so that both cores work: 20,000 seeds in all. SLUICE_SEED replays one, SLUICE_SEEDS sets the number. */
const part = 1;
const each = Number(process.env['SLUICE_SEEDS'] ?? 20_000) / 2;
const one = process.env['SLUICE_SEED'];
const from = one === undefined ? part * each : Number(one);
const to = one === undefined ? from + each : from + 1;

it(
  `no invariant is violated in seeds ${from} to ${to - 1} of crashes, zombies, conflicts, commands and edits`,
  async () => {
    const report = await simulateSeeds(istio, from, to);
    process.stdout.write(`simulation: ${JSON.stringify({ ...report, violations: report.violations.length })}\n`);
    expect(report.violations.slice(0, 20), 'replay one with SLUICE_SEED=<seed> npm test -- test/simulation').toEqual(
      [],
    );
    expect(report.writes).toBeGreaterThan(0);
    expect(report.falselyBack).toBeLessThanOrEqual(Math.max(1, 0.01 * report.compared));
  },
  30 * 60_000,
);
