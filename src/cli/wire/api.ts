/** The calls of the API that the command line makes. */
import type { Millis } from '../../domain/plan.ts';
import type { DryRunBody } from '../../http/analysis-schemas.ts';
import type { FleetBody, FleetSummary } from '../../http/fleet-schemas.ts';
import type { MigrationBody, MigrationSummary } from '../../http/mesh-migration-schemas.ts';
import type { DeliveryBody, FactBody, MeasurementBody, MeshBody, RolloutBody, WriteBody } from '../../http/schemas.ts';
import { Failure } from '../failure.ts';
import type { Limits, Persistent } from './persist.ts';
import type { ProblemBody } from './problem.ts';
import { problemOf, refusal } from './problem.ts';
import type { Answer } from './wire.ts';

export type {
  DryRunBody,
  FactBody,
  FleetBody,
  FleetSummary,
  MeasurementBody,
  MeshBody,
  MigrationBody,
  MigrationSummary,
  RolloutBody,
  WriteBody,
};

/** Where the API keeps them. */
export type Collection = 'rollouts' | 'fleet-rollouts' | 'mesh-migrations';
export type FindingOf = MeshBody['findings'][number];

export type CommandName = 'promote' | 'pause' | 'resume' | 'abort' | 'retry' | 'rollback';

export interface PlanText {
  readonly text: string;
  readonly type: 'application/json' | 'application/yaml';
}

export interface Told {
  readonly answer: Answer;
  /** null: accepted. */
  readonly problem: ProblemBody | null;
  readonly repeated: boolean;
}

const READ: Millis = 15_000;
/** A start and a dry run ask the cluster and Prometheus. */
const SLOW: Millis = 60_000;

export type Api = ReturnType<typeof openApi>;

export function openApi(persistent: Persistent) {
  const { wire } = persistent;
  const get = async <T>(path: string, of: string, limits?: Limits, most = READ): Promise<T | null> => {
    const heard = await persistent.ask({ method: 'GET', path, within: most }, limits);
    if (heard === null) return null;
    return bodyOf<T>(heard.answer, of);
  };
  const read = async <T>(path: string, of: string): Promise<T> => {
    const body = await get<T>(path, of);
    if (body === null) throw new Failure('unreachable', `${of}: no answer`);
    return body;
  };
  const post = async (path: string, headers: Record<string, string>, body: string | undefined, limits?: Limits) =>
    persistent.ask({ method: 'POST', path, headers, body, within: SLOW }, limits);
  const within = (collection: Collection, id: string, part = ''): string =>
    `/${collection}/${encodeURIComponent(id)}${part === '' ? '' : `/${part}`}`;
  const at = (id: string, part?: string): string => within('rollouts', id, part);
  const listOf = <T>(
    collection: Collection,
    query: URLSearchParams,
    most: number,
    of = 'the list',
  ): Promise<Pages<T>> => pages<T>(query.size === 0 ? `/${collection}` : `/${collection}?${query}`, of, most);
  const pages = async <T>(path: string, of: string, most: number): Promise<Pages<T>> => {
    const items: T[] = [];
    let cursor: string | null = null;
    do {
      const page: { items: T[]; nextCursor: string | null } = await read(
        `${path}${path.includes('?') ? '&' : '?'}limit=${Math.min(200, most - items.length)}${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
        of,
      );
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null && items.length < most);
    return { items, more: cursor !== null };
  };

  return {
    wire,
    read,
    /** null: the limits came first. `wait`: until the version is above `since`, so long at most. */
    rollout: (id: string, limits?: Limits, wait: Millis = 0, since?: number) =>
      get<RolloutBody>(
        wait > 0 ? `${at(id)}?wait=${Math.ceil(wait)}ms${since === undefined ? '' : `&sinceVersion=${since}`}` : at(id),
        `rollout ${id}`,
        limits,
        wait + READ,
      ),
    rolloutNow: (id: string) => read<RolloutBody>(at(id), `rollout ${id}`),
    list: (query: URLSearchParams, most: number) => listOf<RolloutBody>('rollouts', query, most),
    listOf,
    fleet: (id: string, limits?: Limits) => get<FleetBody>(within('fleet-rollouts', id), `fleet rollout ${id}`, limits),
    migration: (id: string, limits?: Limits) =>
      get<MigrationBody>(within('mesh-migrations', id), `migration ${id}`, limits),
    /** Every fact after `after`; null: the limits came first. */
    async facts(id: string, after: number, limits?: Limits): Promise<readonly FactBody[] | null> {
      const items: FactBody[] = [];
      let from: number | null = after;
      while (from !== null) {
        const page: { items: FactBody[]; nextAfter: number | null } | null = await get(
          `${at(id, 'events')}?after=${from}&limit=200`,
          `the history of ${id}`,
          limits,
        );
        if (page === null) return null;
        items.push(...page.items);
        from = page.nextAfter;
      }
      return items;
    },
    measurements: (id: string, most: number) =>
      pages<MeasurementBody>(at(id, 'measurements'), `the measurements of ${id}`, most),
    writes: (id: string, most: number) => pages<WriteBody>(at(id, 'writes'), `the writes of ${id}`, most),
    plan: (id: string) => read<Record<string, unknown>>(at(id, 'plan'), `the plan of ${id}`),
    mesh: (cluster: string, query: URLSearchParams) =>
      read<MeshBody>(`/clusters/${encodeURIComponent(cluster)}/mesh?${query}`, `the mesh of cluster ${cluster}`),
    deliveries: (query: URLSearchParams, most: number) =>
      pages<DeliveryBody>(query.size === 0 ? '/deliveries' : `/deliveries?${query}`, 'the deliveries', most),
    async resend(id: string): Promise<DeliveryBody> {
      const of = `delivery ${id}`;
      const heard = await post(`/deliveries/${encodeURIComponent(id)}/resend`, {}, undefined);
      if (heard === null) throw new Failure('unreachable', `${of}: no answer`);
      return bodyOf<DeliveryBody>(heard.answer, of);
    },
    start: async (collection: Collection, plan: PlanText, key: string, limits: Limits) =>
      post(`/${collection}`, { 'Content-Type': plan.type, 'Idempotency-Key': key }, plan.text, limits),
    dryRun: async (collection: Collection, plan: PlanText) =>
      post(`/${collection}?dryRun=true`, { 'Content-Type': plan.type }, plan.text),
    backtest: async (plan: PlanText, past: string) =>
      post(`/analysis/backtest?past=${encodeURIComponent(past)}`, { 'Content-Type': plan.type }, plan.text),
    async tell(collection: Collection, id: string, name: CommandName, body: Record<string, unknown>): Promise<Told> {
      const sent = Object.keys(body).length === 0 ? undefined : JSON.stringify(body);
      const type: Record<string, string> = sent === undefined ? {} : { 'Content-Type': 'application/json' };
      const heard = await post(within(collection, id, name), type, sent);
      if (heard === null) throw new Failure('unreachable', `${name} ${id}: no answer`);
      const { answer, repeated } = heard;
      return {
        answer,
        problem: answer.status < 300 ? null : (problemOf(answer) ?? thrown(answer, `${name} ${id}`)),
        repeated,
      };
    },
  };
}

export interface Pages<T> {
  readonly items: readonly T[];
  /** There are more than were asked for. */
  readonly more: boolean;
}

function thrown(answer: Answer, of: string): never {
  throw refusal(answer, of);
}

/** The body of a good answer; throws the refusal otherwise. */
export function bodyOf<T>(answer: Answer, of: string): T {
  if (answer.status < 200 || answer.status >= 300) throw refusal(answer, of);
  try {
    return JSON.parse(answer.text) as T;
  } catch {
    throw new Failure('error', `${of}: the answer is not JSON, so not one of a Sluice server`, [
      'Is the address right? sluice doctor',
    ]);
  }
}
