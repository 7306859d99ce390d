/** The store port in memory, with the same answers as the one on Postgres: both run test/contract/store.cases.ts. */
import type { AuditEntry } from '../../src/app/audit/act.ts';
import type {
  Commit,
  IdempotencyClaim,
  Loaded,
  MeshWrite,
  NewRevert,
  NewRollout,
  Page,
  RolloutStore,
  Started,
  StoredMeasurement,
  StoreGauges,
} from '../../src/app/ports.ts';
import type { JudgedBlock, Ledger } from '../../src/domain/evidence/ledger.ts';
import { openLedger } from '../../src/domain/evidence/ledger.ts';
import type { Measurement } from '../../src/domain/observation.ts';
import { type Target, targetKey } from '../../src/domain/plan.ts';
import type { Fact, Rollout } from '../../src/domain/rollout.ts';
import { isLive, statusOf } from '../../src/domain/rollout.ts';

interface Row {
  objectKey: string;
  rollout: Rollout;
  source: unknown;
  nextTickAt: number | null;
  facts: Fact[];
  measurements: StoredMeasurement[];
  writes: MeshWrite[];
  ledger: Ledger | null;
  blocks: JudgedBlock[];
}

export interface MemoryStore extends RolloutStore {
  /** Every commit that landed, in order. */
  readonly commits: readonly Commit[];
  row(id: string): Row | undefined;
}

const queued = (rollout: Rollout): boolean => rollout.phase.name === 'pending' && rollout.phase.behind !== null;

const numberOf = (reading: Measurement['canary'] | null): number | null =>
  reading?.ok === true ? reading.value : null;
const samplesOf = (reading: Measurement['canary'] | null): number | null =>
  reading?.ok === true ? reading.samples : null;

/** `keep`: hears of every act that is written. */
export function memoryStore(now: () => number, keep: (act: AuditEntry) => void = () => undefined): MemoryStore {
  const rows = new Map<string, Row>();
  const keys = new Map<string, { hash: string; id: string }>();
  const commits: Commit[] = [];
  let epoch = 0;
  let measured = 0;

  /** Live rollouts of the same service or the same mesh object. */
  const rivals = (target: Target, objectKey: string): Row[] =>
    [...rows.values()].filter(
      (r) => isLive(r.rollout) && (r.objectKey === objectKey || targetKey(r.rollout.plan.target) === targetKey(target)),
    );
  const page = <T>(items: readonly T[], limit: number, cursor: string | null): Page<T> => {
    const from = cursor === null ? 0 : Number(cursor);
    return {
      items: items.slice(from, from + limit),
      nextCursor: from + limit < items.length ? String(from + limit) : null,
    };
  };

  const insert = (wanted: NewRollout | NewRevert, behind: string | null): Rollout => {
    epoch = Math.max(epoch + 1, wanted.epochAbove + 1);
    const at = now();
    const { id, plan, createdBy, startedBy, observedWeight, warnings } = wanted;
    const rollout: Rollout = {
      id,
      epoch,
      plan,
      createdAt: at,
      createdBy,
      ...(startedBy === undefined ? {} : { startedBy }),
      version: 1,
      ...('reverts' in wanted
        ? {
            generation: 1,
            phase: wanted.reverts.begin(at),
            reverts: wanted.reverts.rollout,
            pods: wanted.reverts.pods,
          }
        : { generation: 0, phase: { name: 'pending', behind } as const }),
      ...(wanted.fleet === undefined ? {} : { fleet: wanted.fleet }),
      tallies: {},
      observedWeight,
      observedShare: null,
      evaluatedAt: null,
      judgement: null,
      reasserts: 0,
      movedBy: [],
      appliedGeneration: null,
      meshTrouble: null,
      unreadySince: null,
      attempts: 0,
      factCount: 1,
    };
    const message = `created by ${createdBy}`;
    const created: Fact = { seq: 1, at, type: 'created', actor: createdBy, step: null, message, data: { warnings } };
    rows.set(id, {
      objectKey: wanted.objectKey,
      rollout,
      source: wanted.source,
      nextTickAt: at,
      facts: [created],
      measurements: [],
      writes: [],
      ledger: wanted.evidence === null ? null : openLedger(wanted.evidence),
      blocks: [],
    });
    return rollout;
  };

  const replay = (claim: IdempotencyClaim | null): Extract<Started, { kind: 'replayed' | 'key_reused' }> | null => {
    if (claim === null) return null;
    const { principal, key, hash } = claim;
    const known = keys.get(`${principal}\n${key}`);
    if (known === undefined) return null;
    const row = rows.get(known.id);
    if (known.hash !== hash || row === undefined) return { kind: 'key_reused' };
    return { kind: 'replayed', rollout: row.rollout };
  };

  const store = (at: number, m: Measurement): StoredMeasurement => {
    measured += 1;
    return {
      seq: measured,
      at,
      step: m.step,
      check: m.check,
      verdict: m.verdict,
      code: m.code,
      reason: m.reason,
      value: numberOf(m.canary),
      samples: samplesOf(m.canary),
      stableValue: numberOf(m.stable),
      stableSamples: samplesOf(m.stable),
      threshold: m.threshold,
      window: m.window,
      query: m.canary.query,
      stableQuery: m.stable?.query ?? null,
    };
  };

  return {
    commits,
    row: (id) => rows.get(id),
    async load(id): Promise<Loaded | null> {
      const row = rows.get(id);
      if (row === undefined) return null;
      const { rollout } = row;
      const others = rivals(rollout.plan.target, row.objectKey);
      const earlier = queued(rollout) && others.some((r) => r.rollout.epoch < rollout.epoch);
      const taker = others.find(
        (r) => queued(r.rollout) && r.rollout.epoch > rollout.epoch && r.rollout.plan.onConflict === 'supersede',
      );
      return {
        rollout,
        now: now(),
        blocked: earlier,
        supersededBy: taker?.rollout.id ?? null,
        dueAt: row.nextTickAt,
        ledger: row.ledger,
      };
    },
    async replay(claim) {
      return replay(claim);
    },
    async childrenOf(fleet) {
      return [...rows.values()].map((r) => r.rollout).filter((r) => r.fleet?.id === fleet);
    },
    async revertOf(id) {
      return [...rows.values()].map((r) => r.rollout).findLast((r) => r.reverts === id) ?? null;
    },
    async source(id) {
      return rows.get(id)?.source;
    },
    async commit(change) {
      const row = rows.get(change.previous.id);
      if (row === undefined || row.rollout.version !== change.previous.version) return false;
      if (queued(row.rollout) && !queued(change.next) && isLive(change.next)) {
        const held = rivals(change.next.plan.target, row.objectKey).find((r) => r !== row && !queued(r.rollout));
        if (held !== undefined) return false;
      }
      row.rollout = change.next;
      row.nextTickAt = change.nextTickAt;
      row.facts.push(...change.facts);
      row.measurements.push(...change.measurements.map((m) => store(change.at, m)));
      if (change.evidence !== null) {
        row.ledger = change.evidence.ledger;
        if (change.evidence.closed !== null) row.blocks.push(change.evidence.closed);
      }
      commits.push(change);
      if (change.act !== undefined) keep(change.act);
      return true;
    },
    async start(wanted, behind) {
      const known = replay(wanted.idempotency);
      if (known !== null) return known;
      const live = rivals(wanted.plan.target, wanted.objectKey);
      const held = live.find((r) => !queued(r.rollout)) ?? live[0];
      if (held !== undefined && behind === 'nobody') return { kind: 'conflict', live: held.rollout };
      const rollout = insert(wanted, behind === 'live' ? (live.at(-1)?.rollout.id ?? null) : null);
      if (wanted.idempotency !== null)
        keys.set(`${wanted.idempotency.principal}\n${wanted.idempotency.key}`, {
          hash: wanted.idempotency.hash,
          id: rollout.id,
        });
      keep(wanted.act);
      return { kind: 'created', rollout };
    },
    async startRevert(wanted) {
      const live = rivals(wanted.plan.target, wanted.objectKey);
      const held = live.find((r) => !queued(r.rollout)) ?? live[0];
      if (held !== undefined) return { kind: 'conflict', live: held.rollout };
      const all = [...rows.values()];
      const takenBack = (id: string): Rollout | undefined =>
        all.find((r) => r.rollout.reverts === id && statusOf(r.rollout) === 'rolled_back')?.rollout;
      const before = takenBack(wanted.reverts.rollout);
      if (before !== undefined) return { kind: 'reverted_before', rollout: before };
      const later = all.findLast(
        ({ objectKey, rollout }) =>
          objectKey === wanted.objectKey &&
          rollout.epoch > wanted.reverts.epoch &&
          statusOf(rollout) === 'succeeded' &&
          takenBack(rollout.id) === undefined,
      );
      if (later !== undefined) return { kind: 'promoted_since', later: later.rollout };
      keep(wanted.act);
      return { kind: 'created', rollout: insert(wanted, null) };
    },
    async recordWrite(id, write) {
      rows.get(id)?.writes.push(write);
    },
    async overdue(grace, claim, limit) {
      const late = [...rows.values()]
        .filter((r) => isLive(r.rollout) && r.nextTickAt !== null && r.nextTickAt <= now() - grace)
        .sort(
          (a, b) =>
            Number(b.rollout.phase.name === 'rolling_back') - Number(a.rollout.phase.name === 'rolling_back') ||
            (a.nextTickAt ?? 0) - (b.nextTickAt ?? 0),
        )
        .slice(0, limit);
      for (const row of late) row.nextTickAt = now() + claim;
      return late.map((row) => row.rollout.id);
    },
    async list(filter, limit, cursor) {
      const { status, cluster, namespace, service, since } = filter;
      const hits = [...rows.values()]
        .map((row) => row.rollout)
        .filter(
          (r) =>
            (status === undefined || status.includes(statusOf(r))) &&
            (cluster === undefined || r.plan.target.cluster === cluster) &&
            (namespace === undefined || r.plan.target.namespace === namespace) &&
            (service === undefined || r.plan.target.service === service) &&
            (since === undefined || r.createdAt >= since),
        )
        .reverse();
      return page(hits, limit, cursor);
    },
    async facts(id, afterSeq, limit) {
      return (rows.get(id)?.facts ?? [])
        .filter((fact) => fact.seq > afterSeq)
        .slice(0, limit)
        .map((fact) => ({ ...fact, traceId: null }));
    },
    async measurements(id, limit, cursor) {
      return page(rows.get(id)?.measurements ?? [], limit, cursor);
    },
    async writes(id, limit, cursor) {
      return page(rows.get(id)?.writes ?? [], limit, cursor);
    },
    async evidence(id, limit, cursor) {
      return page(rows.get(id)?.blocks ?? [], limit, cursor);
    },
    async ledger(id) {
      return rows.get(id)?.ledger ?? null;
    },
    async waitForChange(id, version, wait, signal) {
      const until = Date.now() + wait;
      while (!signal.aborted && Date.now() < until && (rows.get(id)?.rollout.version ?? 0) <= version)
        await new Promise((resolve) => setTimeout(resolve, 5));
      return rows.get(id)?.rollout ?? null;
    },
    async gauges(): Promise<StoreGauges> {
      const live = [...rows.values()].filter((row) => isLive(row.rollout));
      const byStatus: Record<string, number> = {};
      for (const { rollout } of live) byStatus[statusOf(rollout)] = (byStatus[statusOf(rollout)] ?? 0) + 1;
      const stuck = live.map(({ rollout }) =>
        rollout.phase.name === 'rolling_back' ? now() - rollout.phase.since : 0,
      );
      const lags = live.map((row) => (row.nextTickAt === null ? 0 : now() - row.nextTickAt));
      return {
        byStatus,
        rollbackStuckSeconds: Math.max(0, ...stuck) / 1000,
        maxTickLagSeconds: Math.max(0, ...lags) / 1000,
        outboxPending: 0,
        deliveriesDead: 0,
      };
    },
    async prune(before, limit) {
      const old = [...rows.values()]
        .filter((row) => row.rollout.phase.name === 'ended' && row.rollout.phase.at < before)
        .slice(0, limit);
      for (const row of old) rows.delete(row.rollout.id);
      return old.length;
    },
    async ping() {
      return null;
    },
  };
}
