import { expect, it } from 'vitest';
import istio from '../../src/adapters/meshes/istio.ts';
import { simulateSeeds } from './run.ts';

it.each([
  ['the row’s version', 'no_row_version', 10],
  ['the object’s resourceVersion', 'no_resource_version', 300],
  ['what a change rests on is read anew', 'no_fresh_reads', 30],
] as const)('the invariants notice when %s is not a precondition', async (_, sabotage, seeds) => {
  const report = await simulateSeeds(istio, 0, seeds, sabotage);
  expect(report.violations.length).toBeGreaterThan(0);
});
