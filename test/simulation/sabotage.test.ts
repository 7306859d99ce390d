import { expect, it } from 'vitest';
import istio from '../../src/adapters/meshes/istio.ts';
import { simulateSeeds } from './run.ts';

/** The first one that notices is enough. */
const BATCH = 10;

it.each([
  ['the precondition on the row’s version', 'no_row_version', 10],
  ['the precondition on the object’s resourceVersion', 'no_resource_version', 300],
  ['the fresh look before a change', 'no_fresh_reads', 400],
  ['the precondition on objects beside the route', 'no_token_beside', 1_500],
  ['the one transaction of evidence and decision', 'evidence_apart', 500],
  ['the difference between a gate’s answers', 'any_answer_approves', 100],
] as const)(
  'the invariants notice when %s is taken away',
  async (_, sabotage, seeds) => {
    let violations = 0;
    for (let from = 0; from < seeds && violations === 0; from += BATCH)
      violations = (await simulateSeeds(istio, from, from + BATCH, sabotage)).violations.length;
    expect(violations).toBeGreaterThan(0);
  },
  10 * 60_000,
);
