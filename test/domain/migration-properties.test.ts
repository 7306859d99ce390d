/** What must hold of a migration whatever it is shown and told, in any order. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { abort, type MigrationChange, nextLookAt, observe, writeFailed } from '../../src/domain/migration/advance.ts';
import type { Migration, MigrationStatus } from '../../src/domain/migration/migration.ts';
import { isLive, MIGRATION_STATUSES, statusOf, wantedOf } from '../../src/domain/migration/migration.ts';
import type { Look, PolicyNow, PolicyReading } from '../../src/domain/migration/observation.ts';
import { aCaller, aMigration, MINUTE, someTraffic, stamped } from '../support/migration-builders.ts';

type Event =
  | { readonly kind: 'look'; readonly wait: number; readonly look: Omit<Look, 'at'> }
  | { readonly kind: 'abort'; readonly giveUp: boolean }
  | { readonly kind: 'write_failed'; readonly permanent: boolean };

const foreign = { migration: 'mm_2', epoch: 8, generation: 1 };
const now = fc.constantFrom<PolicyNow | null>(
  stamped('PERMISSIVE', 0, { stamp: null }),
  stamped('PERMISSIVE', 0, { stamp: null }),
  stamped('STRICT', 1),
  stamped('STRICT', 1),
  stamped('STRICT', 1, { stamp: null }),
  stamped('PERMISSIVE', 2),
  stamped('STRICT', 1, { stamp: foreign }),
  null,
);
const away = { ok: false, code: 'unavailable', message: 'away' } as const;
const policy: fc.Arbitrary<PolicyReading> = fc.oneof(
  { weight: 9, arbitrary: now.map((found) => ({ ok: true as const, policy: found, before: [] })) },
  {
    weight: 1,
    arbitrary: fc.constant({ ok: true as const, policy: null, before: ['PeerAuthentication production/old'] }),
  },
  { weight: 1, arbitrary: fc.constant({ ...away, permanent: false }) },
);
const wide = { ok: true as const, workloads: ['Deployment production/shop'] };
const alone = { ok: true as const, workloads: [] };
const rare = new Map<number, Look['beyond']>([
  [57, wide],
  [58, away],
]);
// The rare ones stand in the middle: fast-check likes to draw the ends.
const beyond = fc.integer({ min: 0, max: 99 }).map((drawn) => rare.get(drawn) ?? alone);
const plaintext = fc.constantFrom(
  { ok: true as const, callers: [], calls: 100 },
  { ok: true as const, callers: [], calls: 100 },
  { ok: true as const, callers: [], calls: 0 },
  { ok: true as const, callers: [aCaller()], calls: 100 },
  away,
);
const traffic = fc.constantFrom(
  { ok: true as const, ...someTraffic() },
  { ok: true as const, ...someTraffic() },
  { ok: true as const, ...someTraffic({ failures: 90 }) },
  { ok: true as const, ...someTraffic({ callers: [], calls: 0 }) },
  away,
);
/** A look at a policy that nobody else has touched. */
type Calm = { readonly kind: 'calm'; readonly wait: number; readonly look: Omit<Look, 'at' | 'policy'> };
const whole = traffic;
const event: fc.Arbitrary<Event | Calm> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('look' as const),
      wait: fc.integer({ min: 0, max: 12 * MINUTE }),
      look: fc.record({ policy, beyond, plaintext, traffic, whole }),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      kind: fc.constant('calm' as const),
      wait: fc.integer({ min: 0, max: 12 * MINUTE }),
      look: fc.record({ beyond, plaintext, traffic, whole }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('abort' as const), giveUp: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('write_failed' as const), permanent: fc.boolean() }) },
);

interface Moved {
  readonly from: Migration;
  readonly change: MigrationChange;
  readonly event: Event;
  readonly at: number;
}

function untouched(migration: Migration): PolicyReading {
  const wanted = wantedOf(migration);
  const found = stamped(wanted?.mode ?? 'PERMISSIVE', wanted?.generation ?? 0, wanted === null ? { stamp: null } : {});
  return { ok: true, policy: wanted?.gone === true ? null : found, before: [] };
}

function walk(events: readonly (Event | Calm)[], made: boolean): readonly Moved[] {
  let migration = aMigration({ name: 'pending' }, { policy: { namespace: 'production', name: 'default', made } });
  let at = 0;
  return events.map((drawn) => {
    const from = migration;
    const happened: Event =
      drawn.kind === 'calm' ? { ...drawn, kind: 'look', look: { ...drawn.look, policy: untouched(from) } } : drawn;
    if (happened.kind === 'look') at += happened.wait;
    const change = after(from, happened, at);
    migration = change.migration;
    return { from, change, event: happened, at };
  });
}

function after(migration: Migration, happened: Event, at: number): MigrationChange {
  switch (happened.kind) {
    case 'look':
      return observe(migration, { at, ...happened.look });
    case 'abort':
      return abort(migration, { at, actor: 'ana', reason: null, giveUp: happened.giveUp }) ?? { migration, facts: [] };
    case 'write_failed':
      return writeFailed(migration, { ...away, permanent: happened.permanent }, at);
    default:
      return happened satisfies never;
  }
}

const holds = (what: (moved: Moved) => void): void =>
  fc.assert(
    fc.property(fc.array(event, { minLength: 1, maxLength: 40 }), fc.boolean(), (events, made) => {
      for (const moved of walk(events, made)) what(moved);
    }),
    { numRuns: 1500 },
  );

const entered = ({ from, change }: Moved, status: MigrationStatus): boolean =>
  statusOf(change.migration) === status && statusOf(from) !== status;
const lookOf = ({ event: happened }: Moved): Omit<Look, 'at'> => {
  if (happened.kind !== 'look') throw new Error(`without a look: ${happened.kind}`);
  return happened.look;
};

it('STRICT is wanted only in a look that heard calls and no plaintext caller, after a guard of the whole length', () =>
  holds((moved) => {
    if (!entered(moved, 'strict')) return;
    expect(['guarding']).toContain(moved.from.phase.name);
    const look = lookOf(moved);
    expect(look.plaintext).toMatchObject({ ok: true, callers: [], calls: 100 });
    expect([look.policy?.ok, look.traffic?.ok]).toEqual([true, true]);
    const { phase, plan } = moved.from;
    if (phase.name === 'guarding') expect(moved.at - (phase.heardSince ?? moved.at)).toBeGreaterThanOrEqual(plan.quiet);
  }));

it('success is claimed only where STRICT and our stamp were just read and the traffic was just judged', () =>
  holds((moved) => {
    if (!entered(moved, 'succeeded')) return;
    const look = lookOf(moved);
    expect(look.policy).toMatchObject({ policy: { mode: 'STRICT', stamp: { migration: 'mm_1', generation: 1 } } });
    const { phase } = moved.from;
    const before = phase.name === 'strict' ? phase.before.traffic.failures : -1;
    for (const heard of [look.traffic, look.whole]) {
      expect(heard?.ok).toBe(true);
      if (heard?.ok === true) expect(heard.failures).toBeLessThanOrEqual(before);
    }
  }));

it('STRICT is neither wanted nor a success by a look that did not see it select its scope alone', () =>
  holds((moved) => {
    if (entered(moved, 'strict') || entered(moved, 'succeeded'))
      expect(lookOf(moved).beyond).toEqual({ ok: true, workloads: [] });
    if (moved.event.kind === 'look' && moved.event.look.beyond === wide)
      expect(['guarding', 'paused', 'strict', 'succeeded']).not.toContain(
        moved.from.phase.name === 'pending' ? null : statusOf(moved.change.migration),
      );
  }));

it('rolled back is claimed only where the policy was just read as it was before, or gone', () =>
  holds((moved) => {
    if (!entered(moved, 'rolled_back')) return;
    const { policy: read } = lookOf(moved);
    expect(read?.ok).toBe(true);
    if (read?.ok === true && read.policy !== null)
      expect(read.policy).toMatchObject({ mode: 'PERMISSIVE', stamp: { migration: 'mm_1', generation: 2 } });
  }));

it('a way back never turns round, and an end is an end', () =>
  holds(({ from, change }) => {
    if (from.phase.name === 'rolling_back')
      expect(['rolling_back', 'rolled_back', 'aborted', 'failed']).toContain(statusOf(change.migration));
    if (!isLive(from))
      expect([statusOf(change.migration), change.facts.filter(({ type }) => type === 'ended')]).toEqual([
        statusOf(from),
        [],
      ]);
  }));

it('facts are numbered without gaps, say something, and a live migration is always looked at again', () =>
  holds(({ from, change, at }) => {
    expect(change.facts.map(({ seq }) => seq)).toEqual(change.facts.map((_, index) => from.factCount + index + 1));
    for (const { message } of change.facts) expect(message).not.toBe('');
    const next = nextLookAt(change.migration, at);
    if (isLive(change.migration)) expect(next).toBeGreaterThanOrEqual(at);
    else expect(next).toBeNull();
  }));

it('every state is reached by these walks', () => {
  const reached = new Set<string>();
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 40 }), fc.boolean(), (events, made) => {
      for (const { change } of walk(events, made)) reached.add(statusOf(change.migration));
    }),
    { numRuns: 3000, seed: 1 },
  );
  expect([...reached].sort()).toEqual([...MIGRATION_STATUSES].sort());
});
