/** Rollouts with a past, for screenshots and tests: each is moved by the real reducer, only what it sees is made up. */
import type { Principal } from '../../src/app/ports.ts';
import type { JudgedBlock, Ledger } from '../../src/domain/evidence/ledger.ts';
import { step } from '../../src/domain/evidence/state.ts';
import { finding } from '../../src/domain/evidence/verdict.ts';
import { judge } from '../../src/domain/judge.ts';
import type { Measurement, Observation, Reading } from '../../src/domain/observation.ts';
import type { Check } from '../../src/domain/plan.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { desiredWeight } from '../../src/domain/rollout.ts';
import { aSurvey } from '../support/evidence.ts';
import type { FakeUseCases } from '../support/usecases-fake.ts';
import { planFor } from '../support/usecases-fake.ts';

const by = (via: 'ci' | 'slack') => ({ via, address: '192.0.2.7', userAgent: null, requestId: null });

export const ci: Principal = { id: 'tok_ci', name: 'token ci-deploy', role: 'deployer', origin: by('ci') };
export const ana: Principal = { id: 'tok_ana', name: 'token ana', role: 'approver', origin: by('slack') };

export const plan = (service: string, over: Record<string, unknown> = {}): Record<string, unknown> =>
  planFor(service, {
    steps: [
      { weight: 5, hold: '2m' },
      { weight: 25, hold: '4m' },
      { weight: 50, hold: '4m', approval: 'required' },
    ],
    analysis: {
      interval: '10s',
      failureLimit: 2,
      evidence: { mode: 'off' },
      checks: [
        { name: 'errors', kind: 'error-rate', max: '1%', relative: { maxRatio: 1.5, tolerance: '0.5%' } },
        {
          name: 'latency',
          kind: 'latency',
          quantile: 0.99,
          max: '500ms',
          relative: { maxRatio: 1.3, tolerance: '30ms' },
        },
      ],
    },
    labels: { version: '2.14.0', commit: '9f3c1ab' },
    ...over,
  });

/** The same plan, with canary and stable compared request by request. */
export const compared = (service: string, over: Record<string, unknown> = {}): Record<string, unknown> => {
  const whole = plan(service, over);
  return { ...whole, analysis: { ...(whole['analysis'] as object), evidence: { mode: 'robust', latency: 'off' } } };
};

export async function started(fake: FakeUseCases, document: Record<string, unknown>, by = ci): Promise<string> {
  const result = await fake.start(document, by, null);
  if (!('rollout' in result)) throw new Error(`the plan of the test is refused: ${JSON.stringify(result)}`);
  return result.rollout.id;
}

/** What the canary is like: error ratio and latency in milliseconds at the n-th evaluation. */
export type Canary = (n: number) => { readonly errors: number | null; readonly latency: number };

/** Chance that is the same every time. */
export const noise = (n: number): number => {
  const x = Math.sin(n * 12.9898) * 43758.5453;
  return x - Math.floor(x);
};

export const healthy: Canary = (n) => ({ errors: 0.0015 + 0.003 * noise(n), latency: 210 + 60 * noise(n + 50) });

const stableReading = (kind: string, n: number, samples: number): Reading => ({
  ok: true,
  value: kind === 'latency' ? 205 + 40 * noise(n + 300) : 0.0015 + 0.0018 * noise(n + 100),
  samples,
  query: queryOf(kind, 'v1'),
});

const queryOf = (kind: string, version: string): string =>
  kind === 'latency'
    ? `histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{destination_workload="myapp-${version}",response_code!~"5.."}[1m])))`
    : `sum(rate(istio_requests_total{destination_workload="myapp-${version}",response_code=~"5.."}[1m])) / sum(rate(istio_requests_total{destination_workload="myapp-${version}"}[1m]))`;

function evaluated(check: Check, rollout: Rollout, n: number, canary: Canary): Measurement {
  const weight = desiredWeight(rollout) ?? 0;
  const samples = Math.round(24_000 * (weight / 100) * (0.85 + 0.3 * noise(n + 700)));
  const { errors, latency } = canary(n);
  const value = check.kind === 'latency' ? latency : errors;
  const seen: Reading =
    value === null
      ? { ok: false, code: 'no_data', message: 'no requests in the last 1 m', query: queryOf(check.kind, 'v2') }
      : { ok: true, value, samples, query: queryOf(check.kind, 'v2') };
  const stable = stableReading(check.kind, n, 24_000 - samples);
  const step = rollout.phase.name === 'progressing' || rollout.phase.name === 'paused' ? rollout.phase.step : 0;
  return { check: check.name, step, window: check.window, canary: seen, stable, ...judge(check, seen, stable) };
}

const EVERY = 10_000;

/** One block of counts of what the canary is like, judged by the real judge. */
function heard(ledger: Ledger, rollout: Rollout, at: number, n: number, canary: Canary) {
  const weight = desiredWeight(rollout) ?? 0;
  const began = ledger.began ?? at - EVERY;
  const requests = Math.round((4_000 * weight) / 100);
  const side = (all: number, ratio: number) => {
    const errors = Math.round(all * ratio + noise(n + all) - 0.5);
    const timed = all - Math.max(0, errors);
    return {
      requests: all,
      errors: Math.max(0, errors),
      timed,
      slow: ledger.setup.settings.bounds.map(() => Math.round(timed * 0.01)),
    };
  };
  const block = {
    index: (ledger.state.block ?? -1) + 1,
    from: at - EVERY - began,
    to: at - began,
    share: weight / 100,
    groups: [{ canary: side(requests, canary(n).errors ?? 0), stable: side(4_000 - requests, 0.0024) }],
  };
  const state = step(ledger.state, ledger.setup.settings, block);
  const closed: JudgedBlock = { at, weight, block, finding: finding(state, ledger.setup.settings) };
  return { ok: true, ledger: { ...ledger, began, state }, closed, dueAt: at + EVERY, fallback: null } as const;
}

/** Looks every ten seconds for so many looks; evaluates where a weight is in force; ends early when the rollout does. */
export async function looks(
  fake: FakeUseCases,
  id: string,
  times: number,
  canary: Canary = healthy,
  from = 0,
): Promise<Rollout> {
  let rollout = await fake.tick(id);
  for (let n = from; n < from + times; n += 1) {
    fake.advance(EVERY);
    const before = rollout;
    rollout = await fake.tick(id, inForce(rollout) ? await seen(fake, rollout, n, canary) : {});
    await written(fake, before, rollout);
    if (rollout.phase.name === 'ended') break;
  }
  return rollout;
}

const inForce = ({ phase }: Rollout): boolean =>
  (phase.name === 'progressing' || phase.name === 'paused') && phase.reachedAt !== null;

async function seen(fake: FakeUseCases, rollout: Rollout, n: number, canary: Canary): Promise<Partial<Observation>> {
  const measurements = rollout.plan.analysis.checks.map((check) => evaluated(check, rollout, n, canary));
  const share = { share: (desiredWeight(rollout) ?? 0) / 100 + 0.002, samples: 24_000, unreached: 0 };
  const loaded = await fake.store.load(rollout.id);
  if (loaded === null || loaded.ledger === null) return { measurements, share };
  const evidence = heard(loaded.ledger, rollout, loaded.now, n, canary);
  const row = fake.store.row(rollout.id);
  if (row !== undefined) {
    row.ledger = evidence.ledger;
    row.blocks.push(evidence.closed);
  }
  return { measurements, share, evidence };
}

/** The write that a worker would have made. */
async function written(fake: FakeUseCases, before: Rollout, rollout: Rollout): Promise<void> {
  if (before.generation === rollout.generation) return;
  const weight = desiredWeight(rollout) ?? 0;
  const at = (await fake.store.load(rollout.id))?.now ?? 0;
  await fake.store.recordWrite(rollout.id, {
    at: at + 200,
    object: 'VirtualService production/myapp',
    generation: rollout.generation,
    canaryWeight: weight,
    before: before.observedWeight,
    result: 'applied',
    message: '',
    tookMs: 14 + Math.round(20 * noise(rollout.generation)),
    traceId: null,
  });
}

const MINUTE = 60_000;
const ago = async <T>(fake: FakeUseCases, ms: number, tell: () => Promise<T>): Promise<T> => {
  const before = Date.now();
  const clock = (await now(fake)) - before;
  fake.advance(-clock - ms);
  const told = await tell();
  fake.advance(Date.now() - (await now(fake)));
  return told;
};
/** The clock of the fake, by way of a rollout: it shows it with every load. */
async function now(fake: FakeUseCases): Promise<number> {
  const { items } = await fake.store.list({}, 1, null);
  const id = items[0]?.id;
  return id === undefined ? Date.now() : ((await fake.store.load(id))?.now ?? Date.now());
}

export interface Story {
  readonly waiting: string;
  readonly running: string;
  readonly failed: string;
  readonly paused: string;
}

/** A morning: one rollout of each kind. */
export async function morning(fake: FakeUseCases): Promise<Story> {
  fake.surveyWith(aSurvey({ rps: 400, message: 'no view tells the pods apart' }));
  await ago(fake, 190 * MINUTE, async () => {
    const id = await started(
      fake,
      plan('catalog', {
        labels: { version: '5.2.1' },
        steps: [
          { weight: 10, hold: '2m' },
          { weight: 50, hold: '2m' },
        ],
      }),
    );
    return looks(fake, id, 60);
  });
  await ago(fake, 130 * MINUTE, async () => {
    const id = await started(fake, plan('recommendations', { labels: { version: '0.9.0-rc.3' } }));
    await looks(fake, id, 20);
    await fake.command(id, { name: 'abort', reason: 'wrong image' }, ana, {});
    return looks(fake, id, 3);
  });
  const failed = await ago(fake, 62 * MINUTE, async () => {
    const id = await started(fake, compared('payments', { labels: { version: '7.1.0', commit: 'c0ffee1' } }));
    await looks(fake, id, 16);
    await looks(
      fake,
      id,
      30,
      (n) => ({
        errors: n < 30 ? healthy(n).errors : 0.012 + 0.004 * (n - 30),
        latency: healthy(n).latency + Math.max(0, n - 24) * 14,
      }),
      16,
    );
    return id;
  });
  const waiting = await ago(fake, 16 * MINUTE, async () => {
    const id = await started(fake, compared('checkout'));
    await looks(fake, id, 95, (n) =>
      n === 30 || n === 31 ? { errors: null, latency: 240 } : n === 47 ? { errors: 0.0125, latency: 250 } : healthy(n),
    );
    return id;
  });
  const running = await ago(fake, 5 * MINUTE, async () => {
    const id = await started(fake, plan('search', { labels: { version: '3.0.2' } }));
    await looks(fake, id, 29);
    return id;
  });
  const paused = await ago(fake, 9 * MINUTE, async () => {
    const id = await started(fake, plan('inventory', { labels: { version: '1.8.4' } }));
    await looks(fake, id, 20);
    await fake.command(id, { name: 'pause', reason: 'looking at the queue length first' }, ana, {});
    await looks(fake, id, 30, healthy, 20);
    return id;
  });
  await started(fake, plan('mail', { labels: { version: '2.0.0' } }));
  return { waiting, running, failed, paused };
}
