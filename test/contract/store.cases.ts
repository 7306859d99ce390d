/** What every RolloutStore must do. Run over the one on Postgres and over the one in memory that the simulation uses. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Commit, Loaded, MeshWrite, NewRevert, NewRollout, RolloutStore } from '../../src/app/ports.ts';
import { replay } from '../../src/domain/evidence/state.ts';
import { finding } from '../../src/domain/evidence/verdict.ts';
import type { Fact, Outcome, Phase, Rollout } from '../../src/domain/rollout.ts';
import { anAct } from '../support/audit.ts';
import { aPlan, aReading, measured } from '../support/builders.ts';
import { aLedger, anEvidenceSetup, counted } from '../support/evidence.ts';

export interface OpenStore {
  readonly store: RolloutStore;
  close(): Promise<void>;
}

const OUTCOME: Outcome = { code: 'promoted', message: 'Promoted to 100 %', step: 3, weight: 100 };
const BACK: Extract<Phase, { readonly name: 'rolling_back' }> = {
  name: 'rolling_back',
  reason: 'analysis',
  since: 1_000,
  outcome: { ...OUTCOME, code: 'threshold', check: 'errors', observed: 0.2, threshold: 0.01 },
  step: 1,
};

/** A request for a rollout of a service of its own, or of `service`. */
export const wanted = (
  part: Partial<NewRollout> & { readonly service?: string; readonly namespace?: string } = {},
): NewRollout => {
  const { service = `svc-${randomUUID()}`, namespace = 'production', ...rest } = part;
  const plan = aPlan();
  return {
    id: randomUUID(),
    plan: { ...plan, target: { ...plan.target, service, namespace } },
    source: { target: { service }, steps: ['as it was sent'] },
    createdBy: 'token ci',
    act: anAct(),
    objectKey: `default VirtualService ${namespace}/${service}`,
    epochAbove: 0,
    observedWeight: 0,
    idempotency: null,
    warnings: [],
    evidence: null,
    ...rest,
  };
};

const fact = (rollout: Rollout, part: Partial<Fact> = {}): Fact => ({
  seq: rollout.factCount + 1,
  at: rollout.createdAt + 5,
  type: 'paused',
  actor: 'sluice',
  step: 0,
  message: 'stands still',
  data: { cause: 'drift' },
  ...part,
});

/** What the tests ask of a store, in few words. */
export function using(store: RolloutStore) {
  const created = async (
    part: Parameters<typeof wanted>[0] = {},
    behind: 'nobody' | 'live' = 'nobody',
  ): Promise<Rollout> => {
    const started = await store.start(wanted(part), behind);
    if (started.kind !== 'created') throw new Error(`wanted a created rollout, found ${started.kind}`);
    return started.rollout;
  };
  const loaded = async (id: string): Promise<Loaded> => {
    const found = await store.load(id);
    if (found === null) throw new Error(`rollout ${id} is not there`);
    return found;
  };
  /** Commits the present row with `part` changed. */
  const move = async (
    id: string,
    part: Partial<Rollout>,
    more: Partial<Pick<Commit, 'facts' | 'measurements' | 'evidence' | 'at' | 'nextTickAt'>> = {},
  ) => {
    const { rollout, now } = await loaded(id);
    const facts = more.facts ?? [];
    const next: Rollout = {
      ...rollout,
      ...part,
      version: rollout.version + 1,
      factCount: rollout.factCount + facts.length,
    };
    const { measurements = [], evidence = null, at = now, nextTickAt = now + 10_000 } = more;
    return store.commit({ previous: rollout, next, facts, measurements, evidence, at, nextTickAt });
  };
  const end = async (id: string, at?: number): Promise<void> => {
    const { now } = await loaded(id);
    await move(
      id,
      { phase: { name: 'ended', status: 'succeeded', outcome: OUTCOME, step: 3, at: at ?? now } },
      { nextTickAt: null },
    );
  };
  return { created, loaded, move, end };
}

export function storeContract(name: string, open: () => Promise<OpenStore>): void {
  describe(name, () => {
    let opened: OpenStore;
    let store: RolloutStore;
    let use: ReturnType<typeof using>;
    beforeEach(async () => {
      opened = await open();
      store = opened.store;
      use = using(store);
    });
    afterEach(() => opened.close());

    describe('start', () => {
      test('gives a pending rollout at version 1 that load gives back, due at once', async () => {
        const request = wanted({ epochAbove: 41, observedWeight: 7.5, warnings: ['gitops: Argo CD owns the object'] });
        const started = await store.start(request, 'nobody');
        expect(started).toMatchObject({
          kind: 'created',
          rollout: {
            id: request.id,
            version: 1,
            generation: 0,
            phase: { name: 'pending', behind: null },
            observedWeight: 7.5,
            createdBy: 'token ci',
            factCount: 1,
            plan: request.plan,
          },
        });
        const { rollout, now, dueAt, blocked } = await use.loaded(request.id);
        expect(started).toEqual({ kind: 'created', rollout });
        expect(rollout.epoch).toBeGreaterThan(41);
        expect(dueAt).toBe(rollout.createdAt);
        expect(now).toBeGreaterThanOrEqual(rollout.createdAt);
        expect(blocked).toBe(false);
        expect(await store.source(request.id)).toEqual(request.source);
      });

      test('records who started it, and the warnings, as the first fact', async () => {
        const rollout = await use.created({ warnings: ['gitops: Argo CD owns the object'] });
        const facts = await store.facts(rollout.id, 0, 10);
        expect(facts).toHaveLength(1);
        expect(facts[0]).toMatchObject({
          seq: 1,
          type: 'created',
          actor: 'token ci',
          step: null,
          at: rollout.createdAt,
          data: { warnings: ['gitops: Argo CD owns the object'] },
        });
        expect(facts[0]?.message).toContain('token ci');
      });

      test('every rollout has a higher epoch than all before it, and than the stamp that was found', async () => {
        const first = await use.created();
        const second = await use.created({ epochAbove: first.epoch + 1000 });
        const third = await use.created({ epochAbove: first.epoch });
        expect(second.epoch).toBeGreaterThan(first.epoch + 1000);
        expect(third.epoch).toBeGreaterThan(second.epoch);
      });

      test('a second rollout of a target conflicts with the live one and leaves nothing behind', async () => {
        const live = await use.created({ service: 'shop' });
        const second = wanted({ service: 'shop' });
        expect(await store.start(second, 'nobody')).toEqual({ kind: 'conflict', live });
        expect(await store.load(second.id)).toBeNull();
        expect(await store.facts(second.id, 0, 10)).toEqual([]);
      });

      test('of many starts of one target at once exactly one is created', async () => {
        const outcomes = await Promise.all(
          Array.from({ length: 8 }, () => store.start(wanted({ service: 'shop' }), 'nobody')),
        );
        expect(outcomes.filter(({ kind }) => kind === 'created')).toHaveLength(1);
        expect(outcomes.filter(({ kind }) => kind === 'conflict')).toHaveLength(7);
      });

      test('a target is free again when its rollout has ended', async () => {
        const first = await use.created({ service: 'shop' });
        await use.end(first.id);
        expect((await store.start(wanted({ service: 'shop' }), 'nobody')).kind).toBe('created');
      });

      test('the same service in another namespace is another target', async () => {
        await use.created({ service: 'shop' });
        expect((await store.start(wanted({ service: 'shop', namespace: 'staging' }), 'nobody')).kind).toBe('created');
      });
    });

    describe('idempotency', () => {
      const idempotency = { principal: 'token:1', key: 'build-17', hash: 'abc' };

      test('the same request again is answered with the rollout that it made, as it is now', async () => {
        const rollout = await use.created({ idempotency });
        await use.end(rollout.id);
        const again = await store.start(wanted({ idempotency }), 'nobody');
        expect(again).toEqual({ kind: 'replayed', rollout: (await use.loaded(rollout.id)).rollout });
      });

      test('the same key with another body is refused', async () => {
        await use.created({ idempotency });
        expect(await store.start(wanted({ idempotency: { ...idempotency, hash: 'def' } }), 'nobody')).toEqual({
          kind: 'key_reused',
        });
      });

      test('the same key of another principal is another key', async () => {
        await use.created({ idempotency });
        expect(
          (await store.start(wanted({ idempotency: { ...idempotency, principal: 'token:2' } }), 'nobody')).kind,
        ).toBe('created');
      });

      test('a conflict does not use up the key', async () => {
        const live = await use.created({ service: 'shop' });
        const second = wanted({ service: 'shop', idempotency });
        expect((await store.start(second, 'nobody')).kind).toBe('conflict');
        await use.end(live.id);
        expect((await store.start(second, 'nobody')).kind).toBe('created');
      });

      test('of many equal requests at once one creates and the others replay', async () => {
        const outcomes = await Promise.all(
          Array.from({ length: 6 }, () => store.start(wanted({ service: 'shop', idempotency }), 'nobody')),
        );
        expect(outcomes.map(({ kind }) => kind).sort()).toEqual(['created', ...Array<string>(5).fill('replayed')]);
        expect(new Set(outcomes.map((o) => ('rollout' in o ? o.rollout.id : '')))).toHaveProperty('size', 1);
      });
    });

    describe('waiting behind another rollout', () => {
      const unblocked = { phase: { name: 'pending', behind: null } } as const;

      test('waits behind the last live rollout of the target, and is blocked while that lives', async () => {
        const first = await use.created({ service: 'shop' });
        const second = await use.created({ service: 'shop' }, 'live');
        const third = await use.created({ service: 'shop' }, 'live');
        expect(second.phase).toEqual({ name: 'pending', behind: first.id });
        expect(third.phase).toEqual({ name: 'pending', behind: second.id });
        expect(await use.loaded(second.id)).toMatchObject({ blocked: true });
        await use.end(first.id);
        expect(await use.loaded(second.id)).toMatchObject({ blocked: false });
        expect(await use.loaded(third.id)).toMatchObject({ blocked: true });
      });

      test('without a live rollout there is nothing to wait behind', async () => {
        expect((await use.created({ service: 'shop' }, 'live')).phase).toEqual({ name: 'pending', behind: null });
      });

      test('cannot take the target while it is held: the commit is refused, and taken when it is free', async () => {
        const first = await use.created({ service: 'shop' });
        const second = await use.created({ service: 'shop' }, 'live');
        expect(await use.move(second.id, unblocked)).toBe(false);
        expect(await use.loaded(second.id)).toMatchObject({ rollout: { version: 1, phase: { behind: first.id } } });
        await use.end(first.id);
        expect(await use.move(second.id, unblocked)).toBe(true);
      });

      test('stays blocked by the holder when the rollout between them ends first', async () => {
        const first = await use.created({ service: 'shop' });
        const second = await use.created({ service: 'shop' }, 'live');
        const third = await use.created({ service: 'shop' }, 'live');
        await use.end(second.id);
        expect(await use.loaded(third.id)).toMatchObject({ blocked: true });
        await use.end(first.id);
        expect(await use.loaded(third.id)).toMatchObject({ blocked: false });
      });

      test('nobody else slips in between the end of the holder and the next in the queue', async () => {
        const first = await use.created({ service: 'shop' });
        const second = await use.created({ service: 'shop' }, 'live');
        await use.end(first.id);
        expect(await store.start(wanted({ service: 'shop' }), 'nobody')).toMatchObject({
          kind: 'conflict',
          live: { id: second.id },
        });
      });
    });

    describe('startRevert', () => {
      const back = (of: Rollout, objectKey: string, part: Partial<NewRollout> = {}): NewRevert => ({
        ...wanted({ service: of.plan.target.service, objectKey, epochAbove: of.epoch, ...part }),
        reverts: {
          rollout: of.id,
          epoch: of.epoch,
          begin: (since) => ({ ...BACK, reason: 'reverted', since }),
          pods: { stable: { ready: 1, wanted: 2 }, canary: { ready: 3, wanted: 4 } },
        },
      });
      const ended = (id: string, status: 'succeeded' | 'rolled_back' | 'aborted' = 'succeeded') =>
        use.move(id, { phase: { name: 'ended', status, outcome: OUTCOME, step: 3, at: 9 } });

      test('begins on the way back, under a higher epoch, and is found by what it takes back', async () => {
        const first = await use.created();
        await ended(first.id);
        expect(await store.revertOf(first.id)).toBeNull();
        const started = await store.startRevert(
          back(first, `default VirtualService production/${first.plan.target.service}`),
        );
        if (started.kind !== 'created') throw new Error(started.kind);
        const { rollout } = started;
        expect(rollout).toMatchObject({ generation: 1, reverts: first.id, version: 1, pods: { stable: { ready: 1 } } });
        expect(rollout.phase).toEqual({ ...BACK, reason: 'reverted', since: rollout.createdAt });
        expect(rollout.epoch).toBeGreaterThan(first.epoch);
        expect((await use.loaded(rollout.id)).rollout).toEqual(rollout);
        expect((await store.revertOf(first.id))?.id).toBe(rollout.id);
        expect(await store.start(wanted({ service: first.plan.target.service }), 'nobody')).toMatchObject({
          kind: 'conflict',
        });
      });

      test('gives way to a live rollout, to a later promotion that stands, and to an earlier revert', async () => {
        const objectKey = `default VirtualService production/reverts-${randomUUID()}`;
        const first = await use.created({ objectKey });
        await ended(first.id);
        const second = await use.created({ objectKey });
        expect(await store.startRevert(back(first, objectKey))).toMatchObject({
          kind: 'conflict',
          live: { id: second.id },
        });
        await ended(second.id);
        expect(await store.startRevert(back(first, objectKey))).toMatchObject({
          kind: 'promoted_since',
          later: { id: second.id },
        });
        const gone = await store.startRevert(back(second, objectKey));
        if (gone.kind !== 'created') throw new Error(gone.kind);
        await ended(gone.rollout.id, 'rolled_back');
        expect(await store.startRevert(back(second, objectKey))).toMatchObject({
          kind: 'reverted_before',
          rollout: { id: gone.rollout.id },
        });
        // The later one is taken back, so the first one's promotion is what stands.
        expect((await store.startRevert(back(first, objectKey))).kind).toBe('created');
      });

      test('does not give way to a later rollout that went back by itself, nor to one of another object', async () => {
        const objectKey = `default VirtualService production/reverts-${randomUUID()}`;
        const first = await use.created({ objectKey });
        await ended(first.id);
        await ended((await use.created({ objectKey })).id, 'aborted');
        await ended((await use.created()).id);
        expect((await store.startRevert(back(first, objectKey))).kind).toBe('created');
      });
    });

    describe('commit', () => {
      test('two services that share one mesh object are one target: the second conflicts or waits', async () => {
        const objectKey = `default VirtualService production/shared-${randomUUID()}`;
        const first = await use.created({ objectKey });
        const second = await store.start(wanted({ objectKey }), 'nobody');
        expect(second).toMatchObject({ kind: 'conflict', live: { id: first.id } });
        const waiting = await use.created({ objectKey }, 'live');
        expect(waiting.phase).toEqual({ name: 'pending', behind: first.id });
        expect((await store.load(waiting.id))?.blocked).toBe(true);
      });

      test('a rollout that takes over is seen by all before it, and by none after it', async () => {
        const objectKey = `default VirtualService production/taken-${randomUUID()}`;
        const first = await use.created({ objectKey });
        const second = await use.created({ objectKey }, 'live');
        const plan = { ...first.plan, onConflict: 'supersede' as const };
        const taker = await use.created({ objectKey, plan }, 'live');
        const last = await use.created({ objectKey }, 'live');
        const seen = async (id: string) => (await store.load(id))?.supersededBy;
        expect([await seen(first.id), await seen(second.id)]).toEqual([taker.id, taker.id]);
        expect([await seen(taker.id), await seen(last.id)]).toEqual([null, null]);
      });

      test('writes row, facts, measurements and the time of the next tick', async () => {
        const { id, createdAt } = await use.created();
        const before = await use.loaded(id);
        const paused = fact(before.rollout);
        const blind = measured('inconclusive', {
          check: 'latency',
          step: 2,
          canary: { ok: false, code: 'no_data', message: 'empty', query: 'up' },
          stable: aReading(12.5, 900),
          threshold: null,
        });
        const part = {
          generation: 3,
          phase: {
            name: 'paused',
            cause: 'drift',
            held: false,
            since: createdAt + 1,
            message: 'somebody else',
            step: 1,
            reachedAt: createdAt,
            from: 5,
            go: { actor: 'ana', at: 9, full: true },
          },
          tallies: { errors: { consecutiveFailures: 1, last: 'fail', blindSince: null, lastReason: 'too many' } },
          observedShare: 0.25,
          evaluatedAt: createdAt + 2,
          meshTrouble: { on: 'write', since: 4, code: 'timeout', message: 'slow' },
          attempts: 2,
        } satisfies Partial<Rollout>;
        const at = before.now;
        expect(
          await use.move(id, part, { facts: [paused], measurements: [measured('fail'), blind], nextTickAt: at + 1234 }),
        ).toBe(true);
        const after = await use.loaded(id);
        expect(after.rollout).toEqual({ ...before.rollout, ...part, version: 2, factCount: 2 });
        expect(after.dueAt).toBe(at + 1234);
        expect(await store.facts(id, 1, 10)).toEqual([{ ...paused, traceId: null }]);
        const { items } = await store.measurements(id, 10, null);
        expect(items).toMatchObject([
          {
            check: 'errors',
            verdict: 'fail',
            value: 0.2,
            samples: 1000,
            stableValue: null,
            stableQuery: null,
            threshold: 0.01,
            window: 60_000,
            query: 'q',
          },
          {
            check: 'latency',
            step: 2,
            verdict: 'inconclusive',
            code: 'no_data',
            value: null,
            samples: null,
            stableValue: 12.5,
            stableSamples: 900,
            stableQuery: 'q',
            threshold: null,
            query: 'up',
          },
        ]);
      });

      test('from a version that is no longer the present one writes nothing at all', async () => {
        const { id } = await use.created();
        const { rollout, now } = await use.loaded(id);
        await use.move(id, { attempts: 1 });
        const next = { ...rollout, version: 2, attempts: 9, factCount: 2 };
        const late = await store.commit({
          previous: rollout,
          next,
          facts: [fact(rollout)],
          measurements: [measured('pass')],
          evidence: null,
          at: now,
          nextTickAt: now,
        });
        expect(late).toBe(false);
        expect(await use.loaded(id)).toMatchObject({ rollout: { version: 2, attempts: 1, factCount: 1 } });
        expect(await store.facts(id, 1, 10)).toEqual([]);
        expect((await store.measurements(id, 10, null)).items).toEqual([]);
      });

      test('of many commits from one version exactly one lands', async () => {
        const { id } = await use.created();
        const { rollout, now } = await use.loaded(id);
        const tries = Array.from({ length: 10 }, (_, n) =>
          store.commit({
            previous: rollout,
            next: { ...rollout, version: 2, attempts: n, factCount: 2 },
            facts: [fact(rollout, { data: { n } })],
            measurements: [],
            evidence: null,
            at: now,
            nextTickAt: now,
          }),
        );
        const outcomes = await Promise.all(tries);
        expect(outcomes.filter((landed) => landed)).toHaveLength(1);
        const winner = outcomes.indexOf(true);
        expect(await use.loaded(id)).toMatchObject({ rollout: { version: 2, attempts: winner } });
        expect(await store.facts(id, 1, 10)).toMatchObject([{ data: { n: winner } }]);
      });

      test('of a rollout that is not there is refused', async () => {
        const rollout = await use.created();
        const ghost = { ...rollout, id: 'ghost' };
        expect(
          await store.commit({
            previous: ghost,
            next: { ...ghost, version: 2 },
            facts: [],
            measurements: [],
            evidence: null,
            at: 0,
            nextTickAt: null,
          }),
        ).toBe(false);
      });
    });

    describe('history', () => {
      test('facts come in order, after the one that was seen, as many as asked for', async () => {
        const { id } = await use.created();
        for (let n = 0; n < 4; n += 1) {
          const { rollout } = await use.loaded(id);
          await use.move(id, {}, { facts: [fact(rollout)] });
        }
        expect((await store.facts(id, 0, 100)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
        expect((await store.facts(id, 2, 2)).map(({ seq }) => seq)).toEqual([3, 4]);
        expect(await store.facts('nobody', 0, 10)).toEqual([]);
      });

      test('measurements come oldest first in pages that hold each of them once', async () => {
        const { id } = await use.created();
        for (let n = 0; n < 5; n += 1) await use.move(id, {}, { measurements: [measured('pass', { step: n })] });
        const first = await store.measurements(id, 2, null);
        const second = await store.measurements(id, 2, first.nextCursor);
        const third = await store.measurements(id, 2, second.nextCursor);
        expect([first, second, third].flatMap(({ items }) => items.map(({ step }) => step))).toEqual([0, 1, 2, 3, 4]);
        expect(third.nextCursor).toBeNull();
      });

      test('writes to the mesh come oldest first in pages', async () => {
        const { id } = await use.created();
        const write: MeshWrite = {
          at: 1_700_000_000_123,
          object: 'VirtualService production/myapp',
          generation: 1,
          canaryWeight: 5,
          before: 0,
          result: 'applied',
          message: 'canary weight 0 -> 5',
          tookMs: 3.25,
          traceId: null,
        };
        const failed: MeshWrite = { ...write, before: null, result: 'trouble', message: 'forbidden' };
        await store.recordWrite(id, write);
        await store.recordWrite(id, failed);
        const first = await store.writes(id, 1, null);
        expect(first.items).toEqual([write]);
        expect(await store.writes(id, 1, first.nextCursor)).toEqual({ items: [failed], nextCursor: null });
      });

      test('a write of a rollout that is gone is dropped', async () => {
        await store.recordWrite('gone', {
          at: 0,
          object: 'o',
          generation: 1,
          canaryWeight: 5,
          before: 0,
          result: 'applied',
          message: '',
          tookMs: 1,
          traceId: null,
        });
        expect((await store.writes('gone', 10, null)).items).toEqual([]);
      });
    });

    describe('evidence', () => {
      const evidence = anEvidenceSetup();

      test('a rollout that is compared begins with an empty ledger of its setup; another one has none', async () => {
        const { id } = await use.created({ evidence });
        const empty = aLedger();
        expect((await use.loaded(id)).ledger).toStrictEqual(empty);
        expect(await store.ledger(id)).toStrictEqual(empty);
        const other = await use.created();
        expect((await use.loaded(other.id)).ledger).toBeNull();
        expect(await store.ledger(other.id)).toBeNull();
        expect(await store.ledger('nobody')).toBeNull();
        expect(await store.evidence(other.id, 10, null)).toEqual({ items: [], nextCursor: null });
      });

      test('ledger and block come with the version that rests on them, and read back as they went in', async () => {
        const { id } = await use.created({ evidence });
        const { now, ledger } = await use.loaded(id);
        const first = counted(ledger ?? aLedger(), now);
        expect(first.closed).not.toBeNull();
        expect(await use.move(id, {}, { evidence: first, at: now })).toBe(true);
        expect((await use.loaded(id)).ledger).toStrictEqual(first.ledger);
        expect(await store.ledger(id)).toStrictEqual(first.ledger);
        expect((await store.evidence(id, 10, null)).items).toStrictEqual([first.closed]);
      });

      test('a count that closes no block changes the ledger alone; a commit without a count changes neither', async () => {
        const { id } = await use.created({ evidence });
        const { now } = await use.loaded(id);
        const goesOn = { ...counted(aLedger(), now), closed: null };
        await use.move(id, {}, { evidence: goesOn });
        await use.move(id, { attempts: 1 });
        expect((await use.loaded(id)).ledger).toStrictEqual(goesOn.ledger);
        expect((await store.evidence(id, 10, null)).items).toEqual([]);
      });

      test('who lost the race writes neither', async () => {
        const { id } = await use.created({ evidence });
        const { rollout, now } = await use.loaded(id);
        const mine = counted(aLedger(), now);
        const other = counted(aLedger(), now, 77);
        const commit = (of: typeof mine): Promise<boolean> =>
          store.commit({
            previous: rollout,
            next: { ...rollout, version: rollout.version + 1 },
            facts: [],
            measurements: [],
            evidence: of,
            at: now,
            nextTickAt: now,
          });
        expect(await commit(mine)).toBe(true);
        expect(await commit(other)).toBe(false);
        expect((await use.loaded(id)).ledger).toStrictEqual(mine.ledger);
        expect((await store.evidence(id, 10, null)).items).toStrictEqual([mine.closed]);
      });

      test('of many commits at once exactly one brings its block', async () => {
        const { id } = await use.created({ evidence });
        const { rollout, now } = await use.loaded(id);
        const next = { ...rollout, version: rollout.version + 1 };
        const given = { previous: rollout, next, facts: [], measurements: [], at: now, nextTickAt: now };
        const counts = Array.from({ length: 6 }, (_, i) => counted(aLedger(), now, 100 + i));
        const outcomes = await Promise.all(counts.map((of) => store.commit({ ...given, evidence: of })));
        expect(outcomes.filter((won) => won)).toHaveLength(1);
        const winner = counts[outcomes.indexOf(true)];
        expect((await use.loaded(id)).ledger).toStrictEqual(winner?.ledger);
        expect((await store.evidence(id, 10, null)).items).toStrictEqual([winner?.closed]);
      });

      test('blocks come oldest first in pages that hold each of them once', async () => {
        const { id } = await use.created({ evidence });
        for (let n = 0; n < 5; n += 1) {
          const { ledger, now } = await use.loaded(id);
          await use.move(id, {}, { evidence: counted(ledger ?? aLedger(), now) });
        }
        const first = await store.evidence(id, 2, null);
        const second = await store.evidence(id, 2, first.nextCursor);
        const third = await store.evidence(id, 2, second.nextCursor);
        const all = [first, second, third].flatMap(({ items }) => items);
        expect(all.map(({ block }) => block.index)).toEqual([0, 1, 2, 3, 4]);
        expect(third.nextCursor).toBeNull();
        // And every verdict can be computed again from what is read.
        const ledger = await store.ledger(id);
        const blocks = all.map(({ block }) => block);
        expect(replay(evidence.settings, blocks)).toStrictEqual(ledger?.state);
        expect(all.at(-1)?.finding).toStrictEqual(finding(replay(evidence.settings, blocks), evidence.settings));
      });

      test('goes with its rollout', async () => {
        const [old, live] = [await use.created({ evidence }), await use.created({ evidence })];
        for (const { id } of [old, live]) {
          const { now } = await use.loaded(id);
          await use.move(id, {}, { evidence: counted(aLedger(), now) });
        }
        const { now } = await use.loaded(old.id);
        await use.end(old.id, now - 86_400_000);
        expect((await store.evidence(old.id, 10, null)).items).toHaveLength(1);
        expect(await store.prune(now - 3_600_000, 10)).toBe(1);
        expect(await store.ledger(old.id)).toBeNull();
        expect((await store.evidence(old.id, 10, null)).items).toEqual([]);
        expect((await store.evidence(live.id, 10, null)).items).toHaveLength(1);
      });
    });

    describe('list', () => {
      test('comes newest first in pages that hold each rollout once', async () => {
        const ids: string[] = [];
        for (let n = 0; n < 5; n += 1) ids.unshift((await use.created()).id);
        const seen: string[] = [];
        for (let cursor: string | null = null, pages = 0; pages === 0 || cursor !== null; pages += 1) {
          const page = await store.list({}, 2, cursor);
          seen.push(...page.items.map(({ id }) => id));
          cursor = page.nextCursor;
        }
        // Created within one millisecond, the order of two is not told.
        expect(new Set(seen)).toEqual(new Set(ids));
        expect(seen).toHaveLength(5);
      });

      test('filters by status, cluster, namespace, service and time', async () => {
        const live = await use.created({ service: 'shop' });
        const done = await use.created({ service: 'pay', namespace: 'staging' });
        await use.end(done.id);
        const ids = async (filter: Parameters<RolloutStore['list']>[0]) =>
          (await store.list(filter, 10, null)).items.map(({ id }) => id);
        expect(await ids({ status: ['pending', 'paused'] })).toEqual([live.id]);
        expect(await ids({ status: ['succeeded'] })).toEqual([done.id]);
        expect((await ids({ status: ['pending', 'succeeded'] })).sort()).toEqual([live.id, done.id].sort());
        expect(await ids({ namespace: 'staging' })).toEqual([done.id]);
        expect(await ids({ service: 'shop', cluster: 'default' })).toEqual([live.id]);
        expect(await ids({ cluster: 'elsewhere' })).toEqual([]);
        expect(await ids({ since: done.createdAt + 60_000 })).toEqual([]);
        expect(await ids({ since: live.createdAt, service: 'shop' })).toEqual([live.id]);
      });

      test('gives whole rollouts', async () => {
        const { id } = await use.created();
        await use.move(id, { phase: BACK, generation: 2 });
        expect((await store.list({}, 10, null)).items).toEqual([(await use.loaded(id)).rollout]);
      });
    });

    describe('overdue', () => {
      test('finds late rollouts, rollbacks first, and each only once per claim', async () => {
        const late = await use.created();
        const back = await use.created();
        const soon = await use.created();
        const ended = await use.created();
        const { now } = await use.loaded(late.id);
        await use.move(late.id, {}, { nextTickAt: now - 60_000 });
        await use.move(back.id, { phase: BACK }, { nextTickAt: now - 30_000 });
        await use.move(soon.id, {}, { nextTickAt: now + 60_000 });
        await use.end(ended.id);
        expect(await store.overdue(10_000, 60_000, 10)).toEqual([back.id, late.id]);
        expect(await store.overdue(10_000, 60_000, 10)).toEqual([]);
      });

      test('takes no more than asked for, rollbacks before those that are later', async () => {
        const late = await use.created();
        const back = await use.created();
        const { now } = await use.loaded(late.id);
        await use.move(late.id, {}, { nextTickAt: now - 60_000 });
        await use.move(back.id, { phase: BACK }, { nextTickAt: now - 30_000 });
        expect(await store.overdue(10_000, 60_000, 1)).toEqual([back.id]);
        expect(await store.overdue(10_000, 60_000, 1)).toEqual([late.id]);
      });

      test('leaves those alone that are late by less than the grace', async () => {
        const rollout = await use.created();
        const { now } = await use.loaded(rollout.id);
        await use.move(rollout.id, {}, { nextTickAt: now - 1_000 });
        expect(await store.overdue(30_000, 60_000, 10)).toEqual([]);
      });

      test('a claim stops nobody from committing, and is over with the next commit', async () => {
        const rollout = await use.created();
        const { now } = await use.loaded(rollout.id);
        await use.move(rollout.id, {}, { nextTickAt: now - 60_000 });
        expect(await store.overdue(10_000, 600_000, 10)).toEqual([rollout.id]);
        expect(await use.move(rollout.id, {}, { nextTickAt: now - 60_000 })).toBe(true);
        expect(await store.overdue(10_000, 600_000, 10)).toEqual([rollout.id]);
      });
    });

    describe('waitForChange', () => {
      const patient = new AbortController().signal;

      test('answers at once where the row has moved on already', async () => {
        const { id } = await use.created();
        expect(await store.waitForChange(id, 0, 30_000, patient)).toMatchObject({ id, version: 1 });
      });

      test('answers when a commit lands, to all that wait', async () => {
        const { id } = await use.created();
        const waiting = Array.from({ length: 20 }, () => store.waitForChange(id, 1, 30_000, patient));
        const { rollout } = await use.loaded(id);
        await use.move(id, { phase: BACK }, { facts: [fact(rollout)] });
        const seen = await Promise.all(waiting);
        expect(seen.every((found) => found?.version === 2)).toBe(true);
      });

      test('answers also for a commit without facts', async () => {
        const { id } = await use.created();
        const waiting = store.waitForChange(id, 1, 30_000, patient);
        await use.move(id, { attempts: 1 });
        expect(await waiting).toMatchObject({ version: 2 });
      });

      test('answers with the present rollout when nothing changes in time', async () => {
        const { id } = await use.created();
        expect(await store.waitForChange(id, 1, 50, patient)).toMatchObject({ version: 1 });
      });

      test('stops when the caller goes away', async () => {
        const { id } = await use.created();
        const caller = new AbortController();
        const waiting = store.waitForChange(id, 1, 60_000, caller.signal);
        setTimeout(() => caller.abort(), 30);
        expect(await waiting).toMatchObject({ version: 1 });
      });

      test('knows at once that there is no such rollout', async () => {
        expect(await store.waitForChange('nobody', 0, 20, patient)).toBeNull();
      });
    });

    describe('gauges', () => {
      test('count the live rollouts, the oldest rollback and the latest tick', async () => {
        const [a, b, c] = [await use.created(), await use.created(), await use.created()];
        const { now } = await use.loaded(a.id);
        await use.move(a.id, { phase: { ...BACK, since: now - 90_000 } }, { nextTickAt: now + 60_000 });
        await use.move(b.id, {}, { nextTickAt: now - 40_000 });
        await use.end(c.id);
        const { byStatus, rollbackStuckSeconds, maxTickLagSeconds } = await store.gauges();
        expect(byStatus).toEqual({ pending: 1, rolling_back: 1 });
        expect(rollbackStuckSeconds).toBeGreaterThanOrEqual(90);
        expect(rollbackStuckSeconds).toBeLessThan(120);
        expect(maxTickLagSeconds).toBeGreaterThanOrEqual(40);
        expect(maxTickLagSeconds).toBeLessThan(70);
      });

      test('are zero where there is nothing', async () => {
        expect(await store.gauges()).toEqual({
          byStatus: {},
          rollbackStuckSeconds: 0,
          maxTickLagSeconds: 0,
          outboxPending: 0,
          deliveriesDead: 0,
        });
      });
    });

    describe('prune', () => {
      test('deletes what ended before, with its history, and nothing else', async () => {
        const [old, recent, live] = [await use.created(), await use.created(), await use.created()];
        const { now, rollout } = await use.loaded(old.id);
        await use.move(old.id, {}, { facts: [fact(rollout)], measurements: [measured('pass')] });
        await use.end(old.id, now - 86_400_000);
        await use.end(recent.id, now);
        expect(await store.prune(now - 3_600_000, 10)).toBe(1);
        expect(await store.load(old.id)).toBeNull();
        expect(await store.facts(old.id, 0, 10)).toEqual([]);
        expect((await store.measurements(old.id, 10, null)).items).toEqual([]);
        expect(await store.load(recent.id)).not.toBeNull();
        expect(await store.facts(live.id, 0, 10)).toHaveLength(1);
        expect(await store.prune(now - 3_600_000, 10)).toBe(0);
      });

      test('deletes no more at once than asked for', async () => {
        for (let n = 0; n < 3; n += 1) await use.end((await use.created()).id, 1_000);
        expect(await store.prune(2_000, 2)).toBe(2);
        expect(await store.prune(2_000, 2)).toBe(1);
      });
    });

    test('says that it can be used', async () => {
      expect(await store.ping()).toBeNull();
    });

    test('knows nothing of what is not there', async () => {
      expect(await store.load('nobody')).toBeNull();
    });
  });
}
