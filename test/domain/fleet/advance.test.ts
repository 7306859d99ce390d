import { describe, expect, it } from 'vitest';
import type { ChildSeen } from '../../../src/domain/fleet/advance.ts';
import {
  advanceFleet,
  childHeld,
  childRefused,
  isEnd,
  isFleetRefusal,
  orderFleet,
  wishes,
} from '../../../src/domain/fleet/advance.ts';
import type { Fleet, FleetPhase, FleetSpec, OnFailure } from '../../../src/domain/fleet/fleet.ts';
import { childDocument, childrenAtStart, fleetStatus } from '../../../src/domain/fleet/fleet.ts';
import { chance } from '../../simulation/scheduler.ts';

const spec = (part: Partial<FleetSpec> = {}): FleetSpec => ({
  plan: { target: { service: 'myapp' }, steps: [{ weight: 10 }] },
  waves: [
    { name: 'first', clusters: ['east'], steps: null, approval: 'none', bake: 60_000 },
    { name: 'second', clusters: ['west', 'north'], steps: null, approval: 'none', bake: 0 },
    { name: 'third', clusters: ['south'], steps: null, approval: 'none', bake: 0 },
  ],
  onFailure: 'all',
  ...part,
});
const aFleet = (part: Partial<Fleet> = {}, of = spec()): Fleet => ({
  id: 'fr_1',
  version: 1,
  spec: of,
  createdAt: 0,
  createdBy: 'token ci',
  phase: { name: 'running', wave: 0 },
  children: childrenAtStart(of),
  factCount: 1,
  ...part,
});
const seen = (
  wave: number,
  cluster: string,
  status: ChildSeen['status'],
  part: Partial<ChildSeen> = {},
): ChildSeen => ({
  wave,
  cluster,
  rollout: `ro_${cluster}`,
  status,
  message: status === 'rolled_back' ? 'Rolled back at 10 %' : '',
  revert: null,
  unwell: null,
  ...part,
});
const back = (cluster: string, status: ChildSeen['status']) => ({ revert: { rollout: `ro_${cluster}_back`, status } });
const look = (fleet: Fleet, at: number, ...children: ChildSeen[]): Fleet => advanceFleet(fleet, { at, children }).fleet;
const wished = (fleet: Fleet): string[] => wishes(fleet).map(({ name, cluster }) => `${name} ${cluster}`);
const EAST = seen(0, 'east', 'succeeded');

/** East promoted and baked: the second wave is to begin. */
const atSecond = (of = spec()): Fleet => look(look(aFleet({}, of), 1_000, EAST), 61_000, EAST);

describe('forward', () => {
  it('starts the first wave, and no other, until it was promoted and has baked', () => {
    const fleet = aFleet();
    expect(wished(fleet)).toEqual(['start east']);
    const under = look(fleet, 10, seen(0, 'east', 'progressing'));
    expect([fleetStatus(under), wished(under)]).toEqual(['running', []]);
    const baking = look(under, 1_000, EAST);
    expect([fleetStatus(baking), wished(baking)]).toEqual(['baking', []]);
    expect(fleetStatus(look(baking, 60_999, EAST))).toBe('baking');
    const next = look(baking, 61_000, EAST);
    expect([next.phase, wished(next)]).toEqual([{ name: 'running', wave: 1 }, ['start west', 'start north']]);
  });

  it('waits for every cluster of a wave', () => {
    const one = look(atSecond(), 70_000, EAST, seen(1, 'west', 'succeeded'), seen(1, 'north', 'paused'));
    expect(fleetStatus(one)).toBe('running');
    const both = look(one, 71_000, EAST, seen(1, 'west', 'succeeded'), seen(1, 'north', 'succeeded'));
    expect(fleetStatus(both)).toBe('baking');
  });

  it('succeeds after the last wave', () => {
    const last = aFleet({ phase: { name: 'baking', wave: 2, since: 5 } });
    const end = look(
      last,
      10,
      EAST,
      seen(1, 'west', 'succeeded'),
      seen(1, 'north', 'succeeded'),
      seen(2, 'south', 'succeeded'),
    );
    expect(end.phase).toMatchObject({ status: 'succeeded', message: expect.stringContaining('4 clusters in 3 waves') });
  });

  it('asks a person after the bake where the wave says so, and goes on with their word alone', () => {
    const [first, ...rest] = spec().waves;
    if (first === undefined) throw new Error('no wave');
    const asked = atSecond(spec({ waves: [{ ...first, approval: 'required' }, ...rest] }));
    expect(asked.phase).toMatchObject({ name: 'paused', cause: 'approval', wave: 0 });
    expect(fleetStatus(look(asked, 900_000, EAST))).toBe('paused');
    const word = orderFleet(asked, { name: 'promote' }, 'ana', 900_001);
    expect(!isFleetRefusal(word) && word.fleet.phase).toEqual({ name: 'running', wave: 1 });
  });

  it("gives each cluster the plan, with the wave's steps where it has its own", () => {
    const [first, ...rest] = spec().waves;
    if (first === undefined) throw new Error('no wave');
    const own = spec({ waves: [{ ...first, steps: [{ weight: 1 }] }, ...rest] });
    expect(childDocument(own, 0, 'east')).toMatchObject({ target: { cluster: 'east' }, steps: [{ weight: 1 }] });
    expect(childDocument(own, 1, 'west')).toMatchObject({ target: { cluster: 'west' }, steps: [{ weight: 10 }] });
  });
});

describe('what counts as a failure of a wave', () => {
  const [west, north] = [seen(1, 'west', 'progressing'), seen(1, 'north', 'progressing')];
  it.each<[string, Fleet, ChildSeen[], string]>([
    ['a child that went back', atSecond(), [EAST, { ...west, status: 'rolled_back' }, north], 'west is rolled_back'],
    ['a child that a person aborted', atSecond(), [EAST, { ...west, status: 'aborted' }, north], 'west is aborted'],
    ['a child that needs a person', atSecond(), [EAST, west, { ...north, status: 'failed' }], 'north is failed'],
    [
      'a child that was refused',
      childRefused(atSecond(), 70_000, 1, 'west', 'no route').fleet,
      [EAST, north],
      'west was not started: no route',
    ],
    [
      'pods that no longer run while it bakes',
      look(aFleet(), 1_000, EAST),
      [{ ...EAST, unwell: 'CrashLoopBackOff' }],
      'east: CrashLoopBackOff',
    ],
    [
      'a promotion taken back while it bakes',
      look(aFleet(), 1_000, EAST),
      [{ ...EAST, ...back('east', 'rolling_back') }],
      'east was taken back',
    ],
  ])('%s', (_, fleet, children, words) => {
    const next = look(fleet, 80_000, ...children);
    expect(next.phase).toMatchObject({
      name: 'rolling_back',
      cause: 'failed',
      message: expect.stringContaining(words),
    });
  });
});

describe('an earlier wave, while a later one runs', () => {
  const WEST = seen(1, 'west', 'progressing');
  const NORTH = seen(1, 'north', 'succeeded');
  const worse = [
    [
      'was taken back by somebody',
      { ...EAST, ...back('east', 'rolled_back') },
      'east was taken back after its promotion',
    ],
    [
      'has no pods any more',
      { ...EAST, unwell: 'deployment myapp-v2 has no ready pod (0 of 3)' },
      'east: deployment myapp-v2 has no ready pod',
    ],
  ] as const;

  it.each(worse)('that %s stops the fleet: nothing more begins', (_, east, words) => {
    const running = look(atSecond(), 62_000, EAST, WEST, NORTH);
    expect(running.phase.name).toBe('running');
    const failed = look(running, 63_000, east, WEST, NORTH);
    expect(failed.phase).toMatchObject({ name: 'rolling_back', to: 0, message: expect.stringContaining(words) });
    expect(wished(failed)).toEqual(['abort west', 'revert north']);
    // Also where the later wave has just been promoted.
    const both = look(running, 63_000, east, seen(1, 'west', 'succeeded'), NORTH);
    expect(both.phase.name).toBe('rolling_back');
  });

  it.each(worse)(
    'that %s is asked about where the plan says so, and no more once a person went on without it',
    (_, east) => {
      const second = atSecond(spec({ onFailure: 'pause' }));
      const WELL = seen(1, 'west', 'succeeded');
      const asked = look(second, 63_000, east, WELL, NORTH);
      expect(asked.phase).toMatchObject({ name: 'paused', cause: 'failed' });
      // What a look finds meanwhile is what the person goes on without.
      const still = look(asked, 64_000, east, WELL, NORTH);
      const gone = orderFleet(still, { name: 'promote' }, 'token ana', 65_000);
      if (isFleetRefusal(gone)) throw new Error(gone.message);
      const third = look(gone.fleet, 66_000, east, WELL, NORTH);
      expect([third.phase, wished(third)]).toEqual([{ name: 'running', wave: 2 }, ['start south']]);
      // Another cluster is another matter.
      const more = look(
        third,
        67_000,
        east,
        WELL,
        { ...NORTH, unwell: 'pods are gone' },
        seen(2, 'south', 'succeeded'),
      );
      expect(more.phase).toMatchObject({ name: 'paused', message: expect.stringContaining('north: pods are gone') });
      expect(more.phase).not.toMatchObject({ message: expect.stringContaining('east') });
    },
  );
});

describe('back', () => {
  const broken = [seen(1, 'west', 'rolled_back'), seen(1, 'north', 'progressing')];
  const going = (onFailure: OnFailure): Fleet => look(atSecond(spec({ onFailure })), 80_000, EAST, ...broken);

  it('brings the failing wave back first, then the earlier ones, one after the other', () => {
    const one = going('all');
    expect(wished(one)).toEqual(['abort north']);
    const two = look(one, 81_000, EAST, seen(1, 'west', 'rolled_back'), seen(1, 'north', 'rolling_back'));
    expect(wished(two)).toEqual([]);
    const three = look(two, 82_000, EAST, seen(1, 'west', 'rolled_back'), seen(1, 'north', 'aborted'));
    expect(wished(three)).toEqual(['revert east']);
    const both = [seen(1, 'west', 'rolled_back'), seen(1, 'north', 'aborted')];
    const four = look(three, 83_000, { ...EAST, ...back('east', 'rolling_back') }, ...both);
    expect([fleetStatus(four), wished(four)]).toEqual(['rolling_back', []]);
    const five = look(four, 84_000, { ...EAST, ...back('east', 'rolled_back') }, ...both);
    expect(five.phase).toMatchObject({ status: 'rolled_back', message: expect.stringContaining('east, west, north') });
  });

  it('takes a promoted neighbour of the failing cluster back as well', () => {
    const fleet = look(atSecond(), 80_000, EAST, seen(1, 'west', 'rolled_back'), seen(1, 'north', 'succeeded'));
    expect(wished(fleet)).toEqual(['revert north']);
  });

  it('keeps the earlier waves where the plan says so', () => {
    const end = look(going('wave'), 82_000, EAST, seen(1, 'west', 'rolled_back'), seen(1, 'north', 'aborted'));
    expect(end.phase).toMatchObject({
      status: 'rolled_back',
      message: expect.stringContaining('promoted before and kept: east'),
    });
  });

  it('asks a person where the plan says so, when the others of the wave have come to their ends', () => {
    const waiting = going('pause');
    expect(fleetStatus(waiting)).toBe('running');
    const asked = look(waiting, 82_000, EAST, seen(1, 'west', 'rolled_back'), seen(1, 'north', 'succeeded'));
    expect(asked.phase).toMatchObject({ name: 'paused', cause: 'failed' });
    const on = orderFleet(asked, { name: 'promote' }, 'ana', 83_000);
    expect(!isFleetRefusal(on) && on.fleet.phase).toEqual({ name: 'running', wave: 2 });
    const off = orderFleet(asked, { name: 'abort', reason: '' }, 'ana', 83_000);
    expect(!isFleetRefusal(off) && wished(off.fleet)).toEqual(['revert north']);
  });

  it('waits for what cannot go back yet, and ends as failed where it never can', () => {
    const at = look(going('all'), 82_000, EAST, seen(1, 'west', 'rolled_back'), seen(1, 'north', 'aborted'));
    const later = childHeld(at, 83_000, 0, 'east', { message: 'the old version has no ready pod', again: true }).fleet;
    const still = look(later, 84_000, EAST, seen(1, 'west', 'rolled_back'), seen(1, 'north', 'aborted'));
    expect([fleetStatus(still), wished(still)]).toEqual(['rolling_back', ['revert east']]);
    const never = childHeld(still, 85_000, 0, 'east', { message: 'promoted since', again: false }).fleet;
    const end = look(never, 86_000, EAST, seen(1, 'west', 'rolled_back'), seen(1, 'north', 'aborted'));
    expect(end.phase).toMatchObject({ status: 'failed', message: expect.stringContaining('east (promoted since)') });
  });

  it('an abort takes every wave back, also those that the policy would have kept', () => {
    const aborted = orderFleet(going('wave'), { name: 'abort', reason: 'no' }, 'ana', 81_000);
    expect(!isFleetRefusal(aborted) && aborted.fleet.phase).toMatchObject({ to: 0, cause: 'aborted' });
  });
});

describe('people', () => {
  const ended: FleetPhase = { name: 'ended', wave: 2, status: 'succeeded', at: 1, message: '' };
  it.each([
    ['promote while a wave is under way', aFleet(), { name: 'promote' }, 'not_waiting'],
    [
      'promote on the way back',
      aFleet({ phase: { name: 'rolling_back', wave: 0, to: 0, since: 0, cause: 'aborted', message: '' } }),
      { name: 'promote' },
      'rolling_back',
    ],
    ['promote what has succeeded', aFleet({ phase: ended }), { name: 'promote' }, null],
    ['abort what has succeeded', aFleet({ phase: ended }), { name: 'abort', reason: '' }, 'finished'],
    ['give up what goes forward', aFleet(), { name: 'give_up', reason: '' }, 'not_rolling_back'],
  ] as const)('%s', (_, fleet, command, code) => {
    const result = orderFleet(fleet, command, 'ana', 10);
    expect(isFleetRefusal(result) ? result.code : null).toBe(code);
  });

  it('gives nothing up while a rollout of it is live', () => {
    const aborted = orderFleet(
      look(aFleet(), 10, seen(0, 'east', 'progressing')),
      { name: 'abort', reason: '' },
      'ana',
      20,
    );
    if (isFleetRefusal(aborted)) throw new Error(aborted.message);
    expect(orderFleet(aborted.fleet, { name: 'give_up', reason: '' }, 'ana', 30)).toMatchObject({
      code: 'rolling_back',
    });
  });
});

/** A small world: children that do what chance says, wishes that are carried out, lost, or carried out twice. */
function live(seed: number): { fleet: Fleet; world: Map<string, ChildSeen>; trail: string[] } {
  const random = chance(seed);
  const policy = (['wave', 'all', 'pause'] as const)[Math.floor(random() * 3)] ?? 'all';
  const waves = spec().waves.map((wave, i) => ({
    ...wave,
    approval: i < 2 && random() < 0.3 ? ('required' as const) : ('none' as const),
  }));
  let fleet = aFleet({}, spec({ onFailure: policy, waves }));
  const world = new Map<string, ChildSeen>();
  const trail: string[] = [];
  const bad = random() < 0.4;
  for (let at = 0; at < 400_000 && fleet.phase.name !== 'ended'; at += 1_000) {
    const before = fleet;
    fleet = look(fleet, at, ...world.values());
    if (before.phase !== fleet.phase) trail.push(fleetStatus(fleet));
    for (const { wave, cluster, ...wish } of wishes(fleet)) {
      if (random() < 0.3) continue;
      const child = world.get(cluster);
      if (wish.name === 'start') {
        const before_ = [...world.values()].filter((one) => one.wave < wave);
        const passed = before_.every((one) => one.status === 'succeeded' && one.revert === null);
        // Where a person is asked, they may go on without a wave.
        if (policy !== 'pause' && (!passed || before_.length < wave)) trail.push(`BAD: ${cluster} before its time`);
        if (child === undefined) world.set(cluster, seen(wave, cluster, 'progressing'));
        if (child === undefined && random() < 0.05) {
          world.delete(cluster);
          fleet = childRefused(fleet, at, wave, cluster, 'refused').fleet;
        }
      } else if (child !== undefined && wish.name === 'abort') world.set(cluster, { ...child, status: 'rolling_back' });
      else if (child !== undefined) {
        const later = [...world.values()].filter((one) => one.wave > wave && !isEnd(one.status));
        if (later.length > 0) trail.push(`BAD: ${cluster} goes back before ${later[0]?.cluster}`);
        world.set(cluster, { ...child, ...back(cluster, 'rolling_back') });
      }
    }
    for (const [cluster, child] of world) {
      const { status, revert } = child;
      if (revert?.status === 'rolling_back' && random() < 0.5)
        world.set(cluster, { ...child, ...back(cluster, 'rolled_back') });
      else if (status === 'rolling_back' && random() < 0.5) world.set(cluster, { ...child, status: 'aborted' });
      else if (status === 'progressing' && random() < 0.2)
        world.set(cluster, { ...child, status: bad && random() < 0.3 ? 'rolled_back' : 'succeeded' });
    }
    const command =
      random() < 0.01
        ? 'abort'
        : fleet.phase.name === 'paused' && random() < 0.1
          ? random() < 0.5
            ? 'promote'
            : 'abort'
          : null;
    if (command === null) continue;
    const word = orderFleet(fleet, command === 'abort' ? { name: 'abort', reason: '' } : { name: command }, 'ana', at);
    if (!isFleetRefusal(word)) fleet = word.fleet;
  }
  return { fleet, world, trail };
}

it('in 3,000 lives no wave begins before the one before it passed, and every end leaves no live child and no half', () => {
  const ends = new Map<string, number>();
  for (let seed = 0; seed < 3_000; seed += 1) {
    const { fleet, world, trail } = live(seed);
    const status = fleetStatus(fleet);
    ends.set(status, (ends.get(status) ?? 0) + 1);
    const why = `seed ${seed}: ${status}: ${trail.join(', ')}`;
    expect(fleet.phase.name, why).toBe('ended');
    expect(
      trail.filter((line) => line.startsWith('BAD')),
      why,
    ).toEqual([]);
    for (const { status: of, revert } of world.values()) {
      expect(isEnd(of), why).toBe(true);
      expect(revert === null || isEnd(revert.status), why).toBe(true);
    }
    if (status === 'aborted')
      for (const one of world.values())
        expect(one.status !== 'succeeded' || one.revert?.status === 'rolled_back', why).toBe(true);
  }
  expect([...ends.keys()].toSorted()).toEqual(['aborted', 'rolled_back', 'succeeded']);
});
