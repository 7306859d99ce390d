/**
 * Healthy canaries by the hundred, half an hour each: at most 1 % of them may be rolled back. Judged by the exact bounds of
 * Clopper and Pearson, so that the test neither passes by few runs nor fails by chance.
 */
import { describe, expect, it } from 'vitest';
import type { Block } from '../../src/domain/evidence/counts.ts';
import type { EvidenceSettings } from '../../src/domain/evidence/settings.ts';
import { DEFAULTS } from '../../src/domain/evidence/settings.ts';
import { replay } from '../../src/domain/evidence/state.ts';
import { generator, highest, lowest } from './special.ts';
import { side, traffic, type World } from './traffic.ts';

const RUNS = 250;
const BLOCKS = 180;
const SURE = 0.01;
const ALONE: EvidenceSettings = { ...DEFAULTS, bounds: [], keepBound: false };

/** One of twenty pods is the canary; each fails 30 % of its requests for a block, three times an hour. */
function hiccups(seed: number): (i: number) => World {
  const uniform = generator(seed + 1_000_000);
  const rates = Array.from({ length: BLOCKS }, () => {
    const pods = Array.from({ length: 20 }, () => (uniform() < 3 / 360 ? 0.3 : 0.001));
    return { canary: pods[0] ?? 0, stable: pods.slice(1).reduce((a, b) => a + b, 0) / 19 };
  });
  return (i) => ({ requests: 1000, share: 0.05, canary: 0, stable: 0, ...rates[i] });
}

const constant = (world: World) => () => () => world;
const WORLDS: Record<string, (seed: number) => (i: number) => World> = {
  'the same as the stable': constant({ requests: 1000, share: 0.05, stable: 0.002, canary: 0.002 }),
  'at the very margin': constant({ requests: 1000, share: 0.1, stable: 0.01, canary: 0.012 }),
  'while errors drift': () => (i) => {
    const p = 0.0005 * 10 ** (1 + Math.sin(i / 9));
    return { requests: 1000, share: 0.1, stable: p, canary: p };
  },
  'while weights step': () => (i) => ({
    requests: 1000,
    share: [0.01, 0.05, 0.1, 0.25, 0.5, 0.5][Math.floor(i / 30)] ?? 0.5,
    stable: 0.002,
    canary: 0.002,
  }),
  'while pods hiccup': hiccups,
};

const rolledBack = (settings: EvidenceSettings, world: (seed: number) => (i: number) => World, seen = same): number =>
  Array.from({ length: RUNS }, (_, seed) => replay(settings, seen(traffic(seed, BLOCKS, world(seed))))).filter(
    (state) => state.crossed !== null,
  ).length;
const same = (blocks: readonly Block[]): readonly Block[] => blocks;

/** What `rate(x[1m])` asked every ten seconds gives: every request six times. */
const overlapping = (blocks: readonly Block[]): readonly Block[] =>
  blocks.map((block, i) => {
    const sum = (version: 'canary' | 'stable') =>
      blocks
        .slice(Math.max(0, i - 5), i + 1)
        .map((b) => b.groups[0]?.[version] ?? side(0, 0))
        .reduce((a, b) => side(a.requests + b.requests, a.errors + b.errors));
    return { ...block, groups: [{ canary: sum('canary'), stable: sum('stable') }] };
  });

/** Thousands of rollouts: seconds on a quiet machine. */
const PATIENCE = 240_000;

describe('healthy canaries', { timeout: PATIENCE }, () => {
  for (const mode of ['robust', 'independent'] as const) {
    // Errors that come in clusters are not what independent mode is for.
    const worlds = Object.entries(WORLDS).filter(([name]) => mode === 'robust' || name !== 'while pods hiccup');
    it(`(${mode}) are rolled back at most 1 % of the time: ${worlds.map(([name]) => name).join(', ')}`, () => {
      const settings: EvidenceSettings = { ...ALONE, mode };
      const counts = worlds.map(([, world]) => rolledBack(settings, world));
      for (const back of counts) expect(lowest(back, RUNS, SURE)).toBeLessThanOrEqual(settings.alpha);
      const all = counts.reduce((a, b) => a + b, 0);
      expect(highest(all, RUNS * worlds.length, SURE)).toBeLessThanOrEqual(settings.alpha);
    });
  }

  it('(independent) with hiccups are rolled back far more often: the same test finds it', () => {
    const back = rolledBack({ ...ALONE, mode: 'independent' }, hiccups);
    expect(lowest(back, RUNS, SURE)).toBeGreaterThan(0.1);
  });

  it('counted six times over are rolled back more often than promised: the same test finds that too', () => {
    const world = constant({ requests: 1000, share: 0.1, stable: 0.002, canary: 0.002 });
    const settings: EvidenceSettings = { ...ALONE, mode: 'independent', errors: { ...ALONE.errors, margin: 1 } };
    expect(lowest(rolledBack(settings, world), RUNS, SURE)).toBeLessThanOrEqual(ALONE.alpha);
    const back = rolledBack(settings, world, overlapping);
    expect(lowest(back, RUNS, SURE)).toBeGreaterThan(ALONE.alpha);
  });
});
