/** What an alert is about, whatever it is: channels are told of a rollout, a fleet rollout and a migration alike. */
import type { AlertKind } from '../domain/alert.ts';
import { alertKind } from '../domain/alert.ts';
import { fleetAlertKind } from '../domain/fleet/alert.ts';
import type { Fleet, FleetFactType } from '../domain/fleet/fleet.ts';
import { migrationAlertKind } from '../domain/migration/alert.ts';
import type { Migration, MigrationFactType } from '../domain/migration/migration.ts';
import { scopeWords } from '../domain/migration/migration.ts';
import type { Instant } from '../domain/plan.ts';
import type { Fact, FactType, Rollout } from '../domain/rollout.ts';
import type { About, SubjectKind } from './deliveries.ts';
import type { Queued } from './ports.ts';

/** Everything in it stays as it is, so that a repeat of a message says the same. */
export interface Subject extends About {
  /** "myapp (default/production)". */
  readonly title: string;
  /** Cluster and namespace. */
  readonly place: string;
  readonly namespace: string;
  /** What is moved, or whose callers change. */
  readonly component: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdBy: string;
  readonly createdAt: Instant;
  /** What only its kind has, as webhooks show it. */
  readonly own: Readonly<Record<string, unknown>>;
}

/** A fact that is told: of a rollout, a fleet rollout or a migration. */
export interface ToldFact extends Pick<Fact, 'seq' | 'at' | 'actor' | 'message' | 'data'> {
  readonly type: FactType | FleetFactType | MigrationFactType;
  /** null: it belongs to no step. */
  readonly step: number | null;
}

/** An alert in the outbox. */
export interface AlertMessage extends Queued {
  readonly about: About;
  readonly fact: ToldFact;
}

export interface AlertNotifier {
  readonly channel: string;
  /** As `Notifier`. */
  deliver(message: AlertMessage, subject: Subject): Promise<void>;
}

/** null: it was deleted, and there is nothing to tell. */
export type Subjects = Readonly<Record<SubjectKind, (id: string) => Promise<Subject | null>>>;

const KIND_OF: Readonly<Record<SubjectKind, (fact: { readonly type: never }) => AlertKind>> = {
  rollout: alertKind,
  fleet: fleetAlertKind,
  migration: migrationAlertKind,
};
/** Throws for a fact that nobody is told of. */
export const kindOf = ({ kind }: About, { type }: Pick<ToldFact, 'type'>): AlertKind =>
  KIND_OF[kind]({ type: type as never });

export function rolloutSubject({
  id,
  plan,
  createdBy,
  createdAt,
}: Pick<Rollout, 'id' | 'plan' | 'createdBy' | 'createdAt'>): Subject {
  const { cluster, namespace, service, mesh } = plan.target;
  const { labels } = plan;
  return {
    kind: 'rollout',
    id,
    title: `${service} (${cluster}/${namespace})`,
    place: `${cluster}/${namespace}`,
    namespace,
    component: service,
    labels,
    createdBy,
    createdAt,
    own: { cluster, namespace, service, mesh, labels, steps: plan.steps.length },
  };
}

/** Of the plan as it was sent, which was valid when it came. */
interface SentPlan {
  readonly target: { readonly namespace: string; readonly service: string; readonly mesh: string };
  readonly labels?: Readonly<Record<string, string>>;
}

export function fleetSubject({ id, spec, createdBy, createdAt }: Fleet): Subject {
  const { target, labels = {} } = spec.plan as unknown as SentPlan;
  const { namespace, service, mesh } = target;
  const clusters = spec.waves.flatMap((wave) => wave.clusters);
  return {
    kind: 'fleet',
    id,
    title: fleetTitle({ spec }),
    place: `${clusters.join(', ')}/${namespace}`,
    namespace,
    component: service,
    labels,
    createdBy,
    createdAt,
    own: { namespace, service, mesh, clusters, waves: spec.waves.length, labels },
  };
}

export function migrationSubject({ id, plan, createdBy, createdAt }: Migration): Subject {
  const { cluster, mesh, policy, scope } = plan;
  const { kind, namespace } = scope;
  return {
    kind: 'migration',
    id,
    title: migrationTitle({ plan }),
    place: `${cluster}/${namespace}`,
    namespace,
    component: scopeWords(scope),
    labels: {},
    createdBy,
    createdAt,
    own: {
      cluster,
      namespace,
      mesh,
      scope: kind,
      workload: kind === 'workload' ? scope.deployment : null,
      policy: policy.name,
    },
  };
}

/** "production/web through 3 clusters". */
export function fleetTitle({ spec }: Pick<Fleet, 'spec'>): string {
  const { namespace, service } = (spec.plan as unknown as SentPlan).target;
  const clusters = spec.waves.flatMap((wave) => wave.clusters);
  return `${namespace}/${service} through ${clusters.length} ${clusters.length === 1 ? 'cluster' : 'clusters'}`;
}

/** "workload production/web on cluster default to STRICT". */
export const migrationTitle = ({ plan }: Pick<Migration, 'plan'>): string =>
  `${scopeWords(plan.scope)} on cluster ${plan.cluster} to STRICT`;
