/** Every word that Sluice says of a rollout to people and programs is in docs/glossary.md: the words are taken from the code. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadGuards, loadMeshes, loadProviders } from '../../src/adapters/registry.ts';
import { VIAS } from '../../src/app/audit/act.ts';
import { DELIVERY_STATES } from '../../src/app/deliveries.ts';
import { PRINCIPAL_ROLES } from '../../src/app/ports.ts';
import { SEVERITIES } from '../../src/app/severity.ts';
import { offlineParser } from '../../src/cli/offline-parser.ts';
import { ALERT_KINDS } from '../../src/domain/alert.ts';
import { STEP_KINDS } from '../../src/domain/capabilities.ts';
import { FLEET_FACTS, FLEET_STATUSES } from '../../src/domain/fleet/fleet.ts';
import { MIGRATION_FACTS, MIGRATION_STATUSES } from '../../src/domain/migration/migration.ts';
import { GATES } from '../../src/domain/plan.ts';
import { FACT_TYPES } from '../../src/domain/rollout.ts';
import { STATUSES } from '../../src/http/schemas.ts';
import { ROOT } from '../support/chart.ts';
import { inlineOf, pageAt } from '../support/pages.ts';

const known = new Set(inlineOf(pageAt('docs/glossary.md')));

/** The words of a type that is a union of texts, which is nowhere at run time. */
function union(file: string, declared: string): readonly string[] {
  const source = readFileSync(join(ROOT, 'src', file), 'utf8').replaceAll(/\/\/.*$/gm, '');
  const [, rest = ''] = source.split(declared);
  return [...(rest.split(';')[0] ?? '').matchAll(/'([^']+)'/g)].map(([, word = '']) => word);
}

/** The words that a field of the plan's schema may have. */
const { jsonSchema } = await offlineParser();
function choices(...path: readonly string[]): readonly string[] {
  let at = jsonSchema as Record<string, unknown>;
  for (const part of path)
    at = ((at['properties'] ?? at['items']) as Record<string, Record<string, unknown>>)[part] ?? {};
  return (at['enum'] ?? []) as readonly string[];
}

const guards = await loadGuards();
const WORDS: Readonly<Record<string, readonly string[]>> = {
  'states of a rollout': STATUSES,
  'causes of a pause': union('domain/rollout.ts', 'export type PauseCause ='),
  'reasons of a rollback': union('domain/rollout.ts', 'export type RollbackReason ='),
  'verdicts of a check': union('domain/rollout.ts', 'export type Verdict ='),
  'findings of the comparison': union('domain/evidence/verdict.ts', 'readonly verdict:'),
  'what they are about': union('domain/evidence/verdict.ts', 'readonly code:'),
  'modes of the comparison': choices('analysis', 'evidence', 'mode'),
  'kinds of steps': STEP_KINDS,
  'kinds of checks': union('app/plan-schema.ts', 'const CHECK_KINDS ='),
  guards: [...guards.keys()],
  'actions of guards': union('app/plan-schema.ts', 'const GUARD_ACTIONS ='),
  gates: GATES,
  'answers of gates': union('domain/rollout.ts', 'export type GateDecision ='),
  meshes: [...(await loadMeshes()).keys()],
  providers: [...(await loadProviders()).keys()],
  'what to do about a conflict': choices('onConflict'),
  'worth of a finding': SEVERITIES,
  'states of a fleet rollout': FLEET_STATUSES,
  'what a failing wave takes back': union('domain/fleet/fleet.ts', 'export type OnFailure ='),
  'states of a migration': MIGRATION_STATUSES,
  roles: PRINCIPAL_ROLES,
  'ways of an act': VIAS,
  'states of a delivery': DELIVERY_STATES,
  'what channels are told of': ALERT_KINDS,
  'facts of a rollout': FACT_TYPES,
  'facts of a fleet rollout': FLEET_FACTS,
  'facts of a migration': MIGRATION_FACTS,
};

describe('docs/glossary.md has the', () => {
  it.each(Object.entries(WORDS))('%s', (_, words) => {
    expect(words.length).toBeGreaterThan(1);
    expect(words.filter((word) => !known.has(word))).toEqual([]);
  });
});
