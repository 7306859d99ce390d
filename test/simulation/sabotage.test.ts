import { expect, it } from 'vitest';
import istio from '../../src/adapters/meshes/istio.ts';
import { simulateSeeds } from './run.ts';

it.each([
  ['the precondition on the row’s version', 'no_row_version', 10],
  ['the precondition on the object’s resourceVersion', 'no_resource_version', 300],
  ['the fresh look before a change', 'no_fresh_reads', 400],
  ['the precondition on objects beside the route', 'no_token_beside', 1_500],
  ['the difference between a gate’s answers', 'any_answer_approves', 100],
] as const)('the invariants notice when %s is taken away', async (_, sabotage, seeds) => {
  const report = await simulateSeeds(istio, 0, seeds, sabotage);
  expect(report.violations.length).toBeGreaterThan(0);
});
