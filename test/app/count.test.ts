/** The evidence in the tick: counted once whatever happens, by whom it can be, and nothing goes up without it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Counted, CountQuestion, MetricsProvider } from '../../src/app/ports.ts';
import { UnknownName } from '../../src/app/ports.ts';
import { tick } from '../../src/app/tick.ts';
import { isRefused, order } from '../../src/domain/command.ts';
import type { CounterSeries, Sample } from '../../src/domain/evidence/counters.ts';
import type { EvidenceSetup, JudgedBlock, Ledger } from '../../src/domain/evidence/ledger.ts';
import { settingsOf } from '../../src/domain/evidence/setup.ts';
import { replay } from '../../src/domain/evidence/state.ts';
import type { Check, EvidencePlan, Role } from '../../src/domain/plan.ts';
import { aCheck, aPlan } from '../support/builders.ts';
import { anEvidencePlan } from '../support/evidence.ts';
import { good, never, tickWorld, unready } from './tick-world.ts';

const SCRAPE = 5_000;
const PACE = { mode: 'robust', block: 10_000, warmUp: 30_000 } as const;

/** Requests of a service, scraped every five seconds, and what a test makes of them. */
interface Traffic {
  /** Requests between two scrapes. */
  requests: number;
  /** Part of each version's requests that fails. */
  failing: { canary: number; stable: number };
  /** The canary's requests for each one that it should get. */
  canaryGets: number;
  /** Providers that answer nothing now. */
  readonly down: Set<string>;
  readonly hangs: Set<string>;
  /** Milliseconds of real time that an answer takes. */
  takes: number;
}

interface Options {
  readonly provider?: string;
  readonly plan?: Partial<EvidencePlan>;
  readonly hold?: number;
  readonly steps?: readonly number[];
  readonly noData?: 'pause' | 'rollback';
  readonly evaluateWithin?: number;
  readonly checks?: readonly Check[];
}

async function counted(options: Options = {}) {
  const { provider = 'prometheus', hold = 60_000, steps = [5, 25, 50], noData = 'pause' } = options;
  const wanted = anEvidencePlan({ provider, latency: null, ...options.plan });
  const evidence: EvidenceSetup = {
    provider,
    view: null,
    pace: PACE,
    settings: settingsOf(wanted, PACE, []),
    words: '',
    calibration: null,
  };
  const traffic: Traffic = {
    requests: 400,
    failing: { canary: 0.01, stable: 0.01 },
    canaryGets: 1,
    down: new Set(),
    hangs: new Set(),
    takes: 0,
  };
  const base = aPlan();
  const plan = aPlan({
    steps: steps.map((weight) => ({ weight, hold, approval: 'none' })),
    analysis: {
      ...base.analysis,
      checks: options.checks ?? [],
      noData: { patience: 60_000, then: noData },
      evidence: wanted,
    },
  });
  const scrapes = proxies(traffic, () => world.weight());
  const asked: string[] = [];
  const world = await tickWorld({
    plan,
    evidence,
    metrics: {
      provider(name) {
        if (name !== 'primary' && name !== 'prometheus') throw new UnknownName('metrics provider', name, ['primary']);
        return counting(name, traffic, scrapes.series, asked);
      },
    },
    ...(options.evaluateWithin === undefined ? {} : { evaluateWithin: options.evaluateWithin }),
  });
  const blocks = async (): Promise<readonly JudgedBlock[]> => (await world.store.evidence('r1', 10_000, null)).items;
  const ledger = async (): Promise<Ledger> => {
    const found = await world.store.ledger('r1');
    if (found === null) throw new Error('no ledger');
    return found;
  };
  let now = 0;
  return {
    ...world,
    traffic,
    asked,
    blocks,
    ledger,
    scrapes,
    /** Every tick that comes due, until `at`. */
    async until(at: number) {
      for (let due = world.store.row('r1')?.nextTickAt ?? null; due !== null && due <= at; ) {
        now = Math.max(due, now + 1);
        scrapes.until(now);
        await world.tickAt(now);
        due = world.store.row('r1')?.nextTickAt ?? null;
      }
      return world.rollout();
    },
    spoil(ledger: Ledger | null): void {
      const row = world.store.row('r1');
      if (row !== undefined) row.ledger = ledger;
    },
    stableIs(what: 'gone' | 'ready'): void {
      world.pods.stable = what === 'gone' ? unready('myapp-v1') : null;
    },
    /** By ana, now. */
    async promote(): Promise<void> {
      const rollout = world.rollout();
      const change = order(rollout, { command: { name: 'promote', full: false }, actor: 'ana', at: now });
      if (isRefused(change)) throw new Error(change.code);
      const next = { ...change.rollout, version: rollout.version + 1 };
      const { facts } = change;
      const none = { measurements: [], evidence: null };
      await world.store.commit({ previous: rollout, next, facts, ...none, at: now, nextTickAt: now });
    },
    /** What was sent until the last scrape that a look has seen. */
    async sent(role: Role): Promise<number> {
      return scrapes.sent(role, (await ledger()).countedTo ?? 0);
    },
    /** All of one version's requests in the blocks and in the one that goes on. */
    async entered(role: Role): Promise<number> {
      const judged = (await blocks()).flatMap(({ block }) => block.groups.map((group) => group[role].requests));
      const open = Object.values((await ledger()).open?.pods ?? {}).map((sides) => sides[role].requests);
      return [...judged, ...open].reduce((sum, n) => sum + n, 0);
    },
  };
}

/** One caller's proxy that has served for long. */
function proxies(traffic: Traffic, weight: () => number) {
  const keys = (['canary', 'stable'] as const).flatMap((role) => [`${role} ok`, `${role} 5xx`]);
  const samples = new Map<string, Sample[]>(keys.map((key) => [key, [[-SCRAPE, 500]]]));
  const sent: { readonly at: number; readonly canary: number; readonly stable: number }[] = [];
  const add = (key: string, at: number, grown: number): void => {
    const all = samples.get(key) ?? [];
    all.push([at, (all.at(-1)?.[1] ?? 0) + grown]);
  };
  let scraped = -SCRAPE;
  return {
    /** Requests since the canary's first weight, as of the scrape at `to`. */
    sent: (role: Role, to: number): number => sent.reduce((sum, one) => (one.at <= to ? sum + one[role] : sum), 0),
    until(now: number): void {
      for (let at = scraped + SCRAPE; at <= now; at += SCRAPE) {
        const share = at <= 0 ? 0 : weight() / 100;
        const canary = Math.round(traffic.requests * share * traffic.canaryGets);
        const requests = { canary, stable: traffic.requests - canary };
        for (const role of ['canary', 'stable'] as const) {
          const failed = Math.round(requests[role] * traffic.failing[role]);
          add(`${role} 5xx`, at, failed);
          add(`${role} ok`, at, requests[role] - failed);
        }
        if (at > 0) sent.push({ at, ...requests });
        scraped = at;
      }
    },
    series: (name: string, since: number): readonly CounterSeries[] =>
      keys.map((key) => ({
        id: `${name} ${key}`,
        exporter: `${name} caller`,
        startedAt: null,
        role: key.startsWith('canary') ? 'canary' : 'stable',
        pod: null,
        adds: key.endsWith('5xx') ? { requests: 1, errors: 1 } : { requests: 1 },
        samples: (samples.get(key) ?? []).filter(([at]) => at > since - 2 * SCRAPE),
      })),
  };
}

function counting(
  name: string,
  traffic: Traffic,
  series: (name: string, since: number) => readonly CounterSeries[],
  asked: string[],
): MetricsProvider {
  const count = async ({ since }: CountQuestion): Promise<Counted> => {
    asked.push(name);
    if (traffic.hangs.has(name)) return never();
    if (traffic.takes > 0) await sleep(traffic.takes);
    if (traffic.down.has(name)) return { ok: false, code: 'unavailable', message: `${name} is down`, query: 'q' };
    const found = series(name, since);
    const at = Math.max(since, ...found.flatMap(({ samples }) => samples.map(([time]) => time)));
    return { ok: true, at, view: 'callers', series: found, query: 'q' };
  };
  const measure = () => (traffic.hangs.has(name) ? never() : good());
  return { name, scrapeInterval: SCRAPE, measure, share: async () => null, ping: async () => null, count };
}

// ── counted once ────────────────────────────────────────────────────────────────────────────────────────────────────

describe('a tick that is repeated counts nothing twice', () => {
  const expectExact = async (world: Awaited<ReturnType<typeof counted>>) => {
    expect(await world.entered('canary')).toBe(await world.sent('canary'));
    expect(await world.entered('stable')).toBe(await world.sent('stable'));
    const blocks = await world.blocks();
    expect(blocks.map(({ block }) => block.index)).toEqual(blocks.map((_, i) => i));
    const { state, setup } = await world.ledger();
    expect(
      replay(
        setup.settings,
        blocks.map(({ block }) => block),
      ),
    ).toStrictEqual(state);
  };

  it('and every request is counted once in the first place', async () => {
    const world = await counted();
    await world.until(55_000);
    expect(await world.sent('canary')).toBeGreaterThan(0);
    await expectExact(world);
  });

  it('where the commit was lost to somebody else', async () => {
    const world = await counted();
    await world.until(21_000);
    const before = await world.ledger();
    world.scrapes.until(30_000);
    const deaf = { ...world.store, commit: async () => false };
    await tick({ ...world.ports, monotonic: () => 30_000, store: deaf }, 'r1');
    expect(await world.ledger()).toBe(before);
    await world.until(55_000);
    await expectExact(world);
  });

  it.each(['observed', 'committed'] as const)('where the process died when it had %s', async (point) => {
    const world = await counted();
    await world.until(21_000);
    world.scrapes.until(30_000);
    const dies = async (at: string): Promise<void> => {
      if (at === point) throw new Error('killed');
    };
    await expect(tick({ ...world.ports, crashPoint: dies }, 'r1')).rejects.toThrow('killed');
    await world.until(55_000);
    await expectExact(world);
  });

  it('where two workers look at once', async () => {
    const world = await counted();
    await world.until(21_000);
    for (let at = 25_000; at <= 55_000; at += 5_000) {
      await world.tickAt(at - 1);
      world.scrapes.until(at);
      await Promise.all([tick(world.ports, 'r1'), tick(world.ports, 'r1'), tick(world.ports, 'r1')]);
    }
    await world.until(57_000);
    expect(world.outcomes).toContain('lost_race');
    await expectExact(world);
  });
});

// ── who counts ──────────────────────────────────────────────────────────────────────────────────────────────────────

describe('where the provider cannot count', () => {
  it('Prometheus does, and the history says so; and back again; a change loses a look at most, and counts nothing twice', async () => {
    const world = await counted({ provider: 'primary', hold: 600_000 });
    await world.until(30_000);
    expect(world.facts()).not.toContain('evidence_source_changed');
    world.traffic.down.add('primary');
    await world.until(60_000);
    expect((await world.ledger()).source).toEqual({ provider: 'prometheus', view: 'callers' });
    world.traffic.down.delete('primary');
    await world.until(90_000);
    const changes = (world.store.row('r1')?.facts ?? []).filter(({ type }) => type === 'evidence_source_changed');
    expect(changes.map(({ message }) => message)).toEqual([
      'the evidence is counted by metrics provider prometheus, no longer by primary: primary is down',
      'the evidence is counted by metrics provider primary, no longer by prometheus: it counts again',
    ]);
    expect(changes.map(({ data }) => data)).toEqual([
      { from: 'primary', to: 'prometheus' },
      { from: 'prometheus', to: 'primary' },
    ]);
    const [entered, sent] = [await world.entered('canary'), await world.sent('canary')];
    expect(entered).toBeLessThan(sent);
    expect(entered).toBeGreaterThan(0.6 * sent);
    expect(world.rollout().judgement).toMatchObject({ provider: 'primary', blindSince: null });
  });

  it('one that hangs until the deadline is not waited for twice: from then on both are asked at once', async () => {
    const world = await counted({ provider: 'primary', hold: 600_000, evaluateWithin: 100 });
    await world.until(30_000);
    world.traffic.hangs.add('primary');
    world.traffic.takes = 5;
    await world.until(35_000);
    expect(world.rollout().judgement?.blindReason).toContain('metrics provider primary gave no count within 100 ms');
    await world.until(80_000);
    expect(world.rollout().judgement).toMatchObject({ provider: 'prometheus', blindSince: null });
    const [entered, sent] = [await world.entered('canary'), await world.sent('canary')];
    expect(entered).toBeLessThan(sent);
    expect(entered).toBeGreaterThan(0.6 * sent);
  });

  it('and Prometheus neither, the comparison is blind: it pauses after the patience, and goes on when it is heard', async () => {
    const world = await counted({ provider: 'primary', hold: 600_000 });
    await world.until(30_000);
    world.traffic.down.add('primary').add('prometheus');
    await world.until(85_000);
    expect(world.rollout()).toMatchObject({ phase: { name: 'progressing' }, judgement: { provider: 'primary' } });
    expect(world.rollout().judgement?.blindReason).toBe(
      'primary is down; prometheus cannot count either: prometheus is down',
    );
    const paused = await world.until(110_000);
    expect(paused.phase).toMatchObject({ name: 'paused', cause: 'no_data' });
    expect(paused.phase.name === 'paused' && paused.phase.message).toMatch(
      /the evidence could not be judged for 1 m(in)?: primary is down; prometheus cannot count either/,
    );
    world.traffic.down.clear();
    expect((await world.until(140_000)).phase).toMatchObject({ name: 'progressing' });
    expect(await world.entered('canary')).toBe(await world.sent('canary'));
  });

  it('and the plan goes back where nothing is known, it goes back', async () => {
    const world = await counted({ hold: 600_000, noData: 'rollback' });
    await world.until(30_000);
    world.traffic.down.add('prometheus');
    await world.until(110_000);
    expect(world.rollout().phase).toMatchObject({ name: 'ended', status: 'rolled_back', outcome: { code: 'no_data' } });
    expect(world.weight()).toBe(0);
  });
});

// ── what the evidence does ──────────────────────────────────────────────────────────────────────────────────────────

describe('a canary that is worse', () => {
  it('is rolled back in the tick whose block proves it', async () => {
    const world = await counted({ hold: 600_000 });
    await world.until(41_000);
    world.traffic.failing.canary = 0.4;
    const ended = await world.until(300_000);
    expect(ended.phase).toMatchObject({
      name: 'ended',
      status: 'rolled_back',
      outcome: { check: 'evidence', threshold: 100 },
    });
    expect(world.weight()).toBe(0);
    const blocks = await world.blocks();
    expect(blocks.map(({ finding }) => finding.verdict === 'bad')).toEqual(
      blocks.map((_, i) => i === blocks.length - 1),
    );
    const facts = world.store.row('r1')?.facts ?? [];
    const [found] = facts.filter(({ type, data }) => type === 'evidence_changed' && data['verdict'] === 'bad');
    const begun = facts.find(({ type }) => type === 'rollback_started');
    expect(begun?.at).toBe(blocks.at(-1)?.at);
    expect(begun?.at).toBe(found?.at);
    expect(begun?.message).toMatch(/^Rolled back at 5 % after .*(fails outright|canary errors are)/);
  });

  it('waits for nobody else then: a Prometheus that hangs does not keep it from going back', async () => {
    const world = await counted({ provider: 'primary', hold: 600_000, checks: [aCheck()] });
    const waits: number[] = [];
    const after = (time: number, what: () => void) => {
      waits.push(time);
      const timer = setTimeout(what, 20);
      return () => clearTimeout(timer);
    };
    Object.assign(world.ports, { after });
    await world.until(41_000);
    world.traffic.failing.canary = 0.4;
    world.traffic.hangs.add('prometheus');
    expect((await world.until(300_000)).phase).toMatchObject({ status: 'rolled_back', outcome: { check: 'evidence' } });
    const begun = world.store.row('r1')?.facts.find(({ type }) => type === 'rollback_started');
    const { items } = await world.store.measurements('r1', 1_000, null);
    // Those of the looks before were waited for, to the end.
    expect(items.filter(({ code }) => code === 'timeout').length).toBeGreaterThan(0);
    expect(items.filter(({ at }) => at === begun?.at)).toEqual([]);
    expect(waits.filter((time) => time < 6_000)).toEqual([250]);
  });

  it('and has no stable version to go back to, waits for it, and nothing more is counted', async () => {
    const world = await counted({ hold: 600_000 });
    await world.until(41_000);
    world.stableIs('gone');
    world.traffic.failing.canary = 0.4;
    const paused = await world.until(200_000);
    expect(paused.phase).toMatchObject({ name: 'paused', cause: 'stable_unavailable' });
    const blocks = await world.blocks();
    expect(blocks.map(({ block }) => block.index)).toEqual(blocks.map((_, i) => i));
    expect(blocks.filter(({ finding }) => finding.verdict === 'bad')).toHaveLength(1);
    const asked = world.asked.length;
    await world.until(260_000);
    expect(world.asked).toHaveLength(asked);
    world.stableIs('ready');
    expect((await world.until(300_000)).phase).toMatchObject({ name: 'ended', status: 'rolled_back' });
  });

  it('that is only suspicious keeps its weight', async () => {
    const world = await counted({ steps: [25, 50], hold: 60_000 });
    await world.until(35_000);
    world.traffic.failing.canary = 0.05;
    await world.until(1_000_000);
    const blocks = await world.blocks();
    const suspicious = blocks.filter(({ finding }) => finding.verdict === 'suspicious');
    expect(suspicious.length).toBeGreaterThan(0);
    // From the first suspicion on the weight never went up.
    const first = suspicious[0]?.at ?? 0;
    const raised = (world.store.row('r1')?.facts ?? []).filter(
      ({ type, at, data }) => type === 'weight_wanted' && at >= first && Number(data['to']) > 0,
    );
    const clear = blocks.some(
      ({ at, finding }) => at > first && finding.verdict !== 'suspicious' && finding.verdict !== 'bad',
    );
    expect(clear ? [] : raised).toEqual([]);
    expect(world.rollout().phase).toMatchObject({ name: 'ended', status: 'rolled_back' });
  });
});

describe('a canary that is as good', () => {
  it('is promoted with its proof', async () => {
    const world = await counted();
    const ended = await world.until(3_000_000);
    expect(ended.phase).toMatchObject({ name: 'ended', status: 'succeeded' });
    expect(ended.phase.name === 'ended' && ended.phase.outcome.message).toContain('the canary is proven not to fail');
    expect(world.weight()).toBe(100);
    expect(await world.entered('canary')).toBeLessThanOrEqual(await world.sent('canary'));
  });

  it('is not promoted before the bake is over, though it is proven safe', async () => {
    const without = await counted();
    const baked = await counted({ plan: { bake: 600_000 } });
    const ends = async (world: Awaited<ReturnType<typeof counted>>): Promise<number> => {
      const { phase } = await world.until(6_000_000);
      return phase.name === 'ended' && phase.status === 'succeeded' ? phase.at : Number.NaN;
    };
    const [early, late] = [await ends(without), await ends(baked)];
    expect(late - early).toBeGreaterThan(0);
    const reached = (baked.store.row('r1')?.facts ?? []).find(
      ({ type, data }) => type === 'weight_reached' && data['weight'] === 50,
    );
    expect(late - (reached?.at ?? 0)).toBeGreaterThanOrEqual(660_000);
  });

  it('takes no step while it gets no requests at this weight', async () => {
    const world = await counted();
    await world.until(50_000);
    world.traffic.canaryGets = 0;
    await world.until(61_500);
    const at25 = await world.until(65_000);
    // The first step was earned; at the second one nobody asks the canary anything.
    expect(at25.phase).toMatchObject({ name: 'progressing', step: 1 });
    const paused = await world.until(240_000);
    expect(paused.phase).toMatchObject({ name: 'paused', cause: 'no_data', step: 1 });
    expect(paused.phase.name === 'paused' && paused.phase.message).toContain('the canary had no requests');
    world.traffic.canaryGets = 1;
    const later = await world.until(600_000);
    expect(later.phase).not.toMatchObject({ step: 1 });
  });
});

describe('a step is not taken', () => {
  it('on what was counted at another weight, however short its hold is', async () => {
    const world = await counted({ hold: 15_000 });
    await world.until(5_000);
    while (world.weight() === 5) await world.until(world.store.row('r1')?.nextTickAt ?? 0);
    world.traffic.canaryGets = 0;
    const reached = world.store.row('r1')?.nextTickAt ?? 0;
    expect((await world.until(reached + 26_000)).phase).toMatchObject({ step: 1 });
    expect(world.rollout().judgement).toMatchObject({ blindSince: null, heard: { weight: 5 } });
  });

  it('while nothing is heard, though enough was at this weight', async () => {
    const world = await counted({ hold: 100_000 });
    await world.until(65_000);
    world.traffic.down.add('prometheus');
    await world.until(105_000);
    expect(world.rollout()).toMatchObject({
      phase: { name: 'progressing', step: 0 },
      judgement: { heard: { weight: 5 }, blindReason: 'prometheus is down' },
    });
    world.traffic.down.clear();
    expect((await world.until(125_000)).phase).toMatchObject({ step: 1 });
  });
});

describe('while a raise is not in force yet', () => {
  it('the canary is judged at the weight that it has, and rolled back', async () => {
    const world = await counted();
    await world.until(55_000);
    world.mesh.refuses = { ok: false, code: 'unavailable', message: 'the API server does not answer' };
    await world.until(75_000);
    expect(world.rollout().phase).toMatchObject({ name: 'progressing', step: 1, reachedAt: null });
    world.traffic.failing = { canary: 0.6, stable: 0.01 };
    await world.until(120_000);
    expect(world.rollout().phase).toMatchObject({ name: 'rolling_back', reason: 'analysis' });
    world.mesh.refuses = null;
    const ended = await world.until(200_000);
    expect(ended.phase).toMatchObject({ name: 'ended', status: 'rolled_back', outcome: { code: 'evidence_failing' } });
    const last = (await world.blocks()).at(-1);
    expect(last).toMatchObject({ weight: 5, finding: { verdict: 'bad' } });
    expect(await world.entered('canary')).toBe(await world.sent('canary'));
  });
});

describe('a rollout whose ledger cannot be gone on with', () => {
  for (const [what, spoiled] of [
    ['that is gone', null],
    ['of another version of this service', { format: 1 }],
  ] as const) {
    it(`${what} says so, and pauses after the plan's patience`, async () => {
      const world = await counted();
      await world.until(25_000);
      world.spoil(spoiled as unknown as Ledger | null);
      const paused = await world.until(200_000);
      expect(paused.phase).toMatchObject({ name: 'paused', cause: 'no_data' });
      expect(paused.phase.name === 'paused' && paused.phase.message).toContain(
        'what was counted for this rollout is not there, or was written by another version of this service',
      );
    });
  }
});

describe('a canary that is not proven safe in time', () => {
  /** Too few requests for any proof. */
  const thin = async (plan: Partial<EvidencePlan>) => {
    const world = await counted({ steps: [25, 50], plan });
    world.traffic.requests = 8;
    world.traffic.failing = { canary: 0, stable: 0 };
    return world;
  };

  it('waits for a person, who may let it pass', async () => {
    const world = await thin({ unproven: { after: 200_000, then: 'pause' } });
    const paused = await world.until(400_000);
    expect(paused.phase).toMatchObject({ name: 'paused', cause: 'unproven', step: 1 });
    expect(paused.phase.name === 'paused' && paused.phase.message).toMatch(
      /^Paused at 50 % after .*: not proven safe within 3 m(in)? 20 s: too little is known .*Promote to go on without a proof/,
    );
    await world.promote();
    const ended = await world.until(500_000);
    expect(ended.phase).toMatchObject({ name: 'ended', status: 'succeeded' });
    expect(ended.movedBy).toEqual(['ana at 50 %']);
  });

  it('waits for a person, and goes on by itself once it is proven', async () => {
    const world = await thin({ unproven: { after: 200_000, then: 'pause' } });
    expect((await world.until(400_000)).phase).toMatchObject({ name: 'paused', cause: 'unproven' });
    world.traffic.requests = 4_000;
    expect((await world.until(600_000)).phase).toMatchObject({ name: 'ended', status: 'succeeded' });
    expect(world.facts()).toContain('resumed');
  });

  it('goes back where the plan says so', async () => {
    const world = await thin({ unproven: { after: 200_000, then: 'rollback' } });
    const ended = await world.until(400_000);
    expect(ended.phase).toMatchObject({ name: 'ended', status: 'rolled_back', outcome: { code: 'unproven' } });
    expect(ended.phase.name === 'ended' && ended.phase.outcome.message).toMatch(/not proven safe within 3 m(in)? 20 s/);
  });

  it('is promoted where the plan says so, and the history names the plan', async () => {
    const world = await thin({ unproven: { after: 200_000, then: 'promote' } });
    const ended = await world.until(400_000);
    expect(ended.phase).toMatchObject({ name: 'ended', status: 'succeeded' });
    expect(ended.movedBy).toEqual(['the plan without a proof (analysis.evidence.unproven) at 50 %']);
  });

  it('is not promoted by the plan while it looks worse: then a person is asked', async () => {
    const world = await thin({ unproven: { after: 200_000, then: 'promote' } });
    await world.until(61_000);
    world.traffic.requests = 40;
    world.traffic.failing = { canary: 0, stable: 0 };
    world.traffic.canaryGets = 0.2;
    await world.until(290_000);
    expect(world.rollout().judgement?.finding?.verdict).toBe('suspicious');
    const paused = await world.until(400_000);
    expect(paused.phase).toMatchObject({ name: 'paused', cause: 'unproven' });
    expect(world.weight()).toBeLessThan(100);
  });
});
