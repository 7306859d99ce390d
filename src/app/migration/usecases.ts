/** What callers may do with migrations: start, look, abort. */

import { duration } from '../../domain/format.ts';
import { abort, nextLookAt } from '../../domain/migration/advance.ts';
import type { Migration, MigrationFact, MigrationPlan, MigrationStatus } from '../../domain/migration/migration.ts';
import { policyWords, scopeWords, statusOf } from '../../domain/migration/migration.ts';
import type { What } from '../audit/act.ts';
import { done } from '../audit/act.ts';
import type { AuditLog } from '../audit/log.ts';
import { noteFulfilled } from '../audit/log.ts';
import type { Principal } from '../ports.ts';
import { refuses } from '../severity.ts';
import type { Finding, Problem } from '../usecases.ts';
import type { MigrationStore, PolicyGateway, PolicySurvey } from './ports.ts';
import { type MigrationDocument, parseMigration } from './schema.ts';

export type StartMigrationResult =
  | { readonly kind: 'created'; readonly migration: Migration }
  | { readonly kind: 'replayed'; readonly migration: Migration }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }
  | { readonly kind: 'preflight_failed'; readonly findings: readonly Finding[] }
  | { readonly kind: 'key_reused' }
  | { readonly kind: 'conflict'; readonly live: Migration };

export type AbortMigrationResult =
  /** moved_on: it is not in the state that was expected; nothing was done. */
  { readonly kind: 'done' | 'ended' | 'moved_on'; readonly migration: Migration } | { readonly kind: 'not_found' };

export interface AskedAbort {
  readonly reason: string | null;
  readonly giveUp: boolean;
  /** The state that somebody saw when they decided; absent: whatever it is. */
  readonly expected?: MigrationStatus | undefined;
}

export interface MigrationUseCases {
  start(
    document: unknown,
    principal: Principal,
    idempotency: { readonly key: string; readonly hash: string } | null,
  ): Promise<StartMigrationResult>;
  abort(id: string, principal: Principal, asked: AskedAbort): Promise<AbortMigrationResult>;
  get(id: string): Promise<Migration | null>;
  facts(id: string, afterSeq: number, limit: number): Promise<readonly MigrationFact[]>;
  readonly list: MigrationStore['list'];
}

export interface UseCasePorts {
  readonly store: MigrationStore;
  readonly policies: PolicyGateway;
  readonly audit: Pick<AuditLog, 'note'>;
  /** Also the name of a policy that the migration makes: lower case, as Kubernetes wants it. */
  readonly newId: () => string;
}

export const migrationUseCases = (ports: UseCasePorts): MigrationUseCases => ({
  start: (document, principal, key) => start(ports, document, principal, key),
  abort: (id, principal, asked) => abortOne(ports, id, principal, asked),
  get: async (id) => (await ports.store.load(id))?.migration ?? null,
  facts: ports.store.facts,
  list: ports.store.list,
});

type Key = { readonly key: string; readonly hash: string } | null;

async function start(
  ports: UseCasePorts,
  sent: unknown,
  principal: Principal,
  key: Key,
): Promise<StartMigrationResult> {
  const result = await startOrFind(ports, sent, principal, key);
  if (result.kind === 'replayed')
    await noteFulfilled(ports.audit, principal, {
      action: 'migration.start',
      id: result.migration.id,
      code: 'replayed',
    });
  return result;
}

async function startOrFind(
  { store, policies, newId }: UseCasePorts,
  sent: unknown,
  principal: Principal,
  key: Key,
): Promise<StartMigrationResult> {
  const idempotency = key === null ? null : { principal: principal.id, ...key };
  // Before the preflight: what it would say now may be different.
  const known = idempotency === null ? null : await store.replay(idempotency);
  if (known !== null) return known;
  const parsed = parseMigration(sent, policies);
  if (!parsed.ok) return { kind: 'invalid', problems: parsed.problems };
  const { document, shortest } = parsed;
  const id = newId();
  const survey = await policies.survey(document.cluster, document.scope, id.replaceAll('_', '-'));
  if (!('policy' in survey)) return { kind: 'preflight_failed', findings: survey };
  if (survey.findings.some(refuses)) return { kind: 'preflight_failed', findings: survey.findings };
  const plan = planOf(document, survey, shortest);
  return store.start({
    id,
    plan,
    source: sent,
    createdBy: principal.name,
    act: done(principal, { action: 'migration.start', id }),
    epochAbove: survey.epoch,
    idempotency,
    message: `Created by ${principal.name}: ${scopeWords(plan.scope)} of cluster ${plan.cluster} to STRICT by ${policyWords(plan)}${plan.policy.made ? ', which it makes' : ''}, after ${duration(plan.quiet)} without plaintext, watched for ${duration(plan.watch)}`,
    warnings: survey.findings.filter(({ level }) => level === 'warn').map(({ message }) => message),
  });
}

const planOf = (document: MigrationDocument, { scope, policy }: PolicySurvey, shortest: number): MigrationPlan => {
  const { cluster, mesh, quiet, watch, patience, limits } = document;
  return { cluster, mesh, scope, policy, quiet, watch, patience, limits, shortest };
};

/** Tries again where a tick moved first: an order of a person is not lost to it. */
async function abortOne(
  { store }: UseCasePorts,
  id: string,
  principal: Principal,
  { expected, ...asked }: AskedAbort,
): Promise<AbortMigrationResult> {
  const action = asked.giveUp ? 'migration.give_up' : 'migration.abort';
  const what: What = { action, id, reason: asked.reason };
  for (;;) {
    const loaded = await store.load(id);
    if (loaded === null) return { kind: 'not_found' };
    const { migration, now } = loaded;
    const change = abort(migration, { at: now, actor: principal.name, ...asked });
    if (change === null) return { kind: 'ended', migration };
    if (expected !== undefined && expected !== statusOf(migration)) return { kind: 'moved_on', migration };
    const next = { ...change.migration, version: migration.version + 1 };
    const due = nextLookAt(next, now) === null ? null : now;
    const act = done(principal, what);
    if (await store.commit({ previous: migration, next, facts: change.facts, nextLookAt: due, act }))
      return { kind: 'done', migration: next };
  }
}
