/** The ports of Slack in memory, with the real commands and the memory store behind them. */
import { command } from '../../src/app/commands.ts';
import type {
  InboundCommand,
  InboundCommands,
  Logger,
  Message,
  Outbox,
  Principal,
  SlackMessage,
  SlackMessages,
  TickQueue,
} from '../../src/app/ports.ts';
import type { UseCases } from '../../src/app/usecases.ts';
import type { Fact, Rollout } from '../../src/domain/rollout.ts';
import { anAct, unheard } from './audit.ts';
import { aPlan } from './builders.ts';
import { type MemoryStore, memoryStore } from './memory-store.ts';

export interface Clock {
  now: number;
}

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
}

/** Every line, fields included, as text. */
export function recordingLog(lines: LogLine[] = []): Logger & { readonly lines: LogLine[] } {
  const at = (level: LogLine['level']) => (fields: object, message: string) => {
    const flat = JSON.stringify(fields, (_, value: unknown) =>
      value instanceof Error ? `${value.stack} ${JSON.stringify(value)}` : value,
    );
    lines.push({ level, text: `${message} ${flat}` });
  };
  return {
    lines,
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => recordingLog(lines),
  };
}

const silentQueue: TickQueue = {
  wake: async () => undefined,
  depth: async () => ({ waiting: 0, delayed: 0, active: 0 }),
  ping: async () => null,
};

export function memoryInbound(clock: Clock): InboundCommands & { readonly waiting: () => number } {
  const rows = new Map<string, { command: InboundCommand; until: number; done: boolean }>();
  return {
    waiting: () => [...rows.values()].filter((row) => !row.done).length,
    async accept(id, kind, payload) {
      if (rows.has(id)) return false;
      rows.set(id, {
        command: { id, kind, payload, acceptedAt: clock.now, age: 0, attempts: 0 },
        until: 0,
        done: false,
      });
      return true;
    },
    async claim(limit, lease) {
      const due = [...rows.values()].filter((row) => !row.done && row.until <= clock.now).slice(0, limit);
      for (const row of due) row.until = clock.now + lease;
      return due.map(({ command: c }) => ({ ...c, age: clock.now - c.acceptedAt }));
    },
    async done(id) {
      const row = rows.get(id);
      if (row !== undefined) row.done = true;
    },
    async postpone(id, delay) {
      const row = rows.get(id);
      if (row === undefined) return;
      row.until = clock.now + delay;
      row.command = { ...row.command, attempts: row.command.attempts + 1 };
    },
  };
}

/** The outbox of a memory store: one message per channel and fact of every commit. */
export function memoryOutbox(store: MemoryStore, clock: Clock): Outbox & { readonly undelivered: () => number } {
  const state = new Map<string, { until: number; attempts: number; delivered: boolean }>();
  const all = (): Message[] =>
    store.commits.flatMap(({ next, facts }) =>
      facts.map((fact) => ({ id: `${next.id}:${fact.seq}`, rolloutId: next.id, fact })),
    );
  const of = (channel: string, id: string) => {
    const key = `${channel} ${id}`;
    const known = state.get(key) ?? { until: 0, attempts: 0, delivered: false };
    state.set(key, known);
    return known;
  };
  return {
    undelivered: () => all().filter(({ id }) => !of('slack', id).delivered).length,
    async claim(channel, limit, lease) {
      const due = all()
        .filter(({ id }) => !of(channel, id).delivered && of(channel, id).until <= clock.now)
        .slice(0, limit);
      for (const { id } of due) of(channel, id).until = clock.now + lease;
      return due.map((message) => ({ ...message, attempts: of(channel, message.id).attempts }));
    },
    async delivered(channel, id) {
      of(channel, id).delivered = true;
    },
    async postpone(channel, id, delay) {
      const row = of(channel, id);
      row.until = clock.now + delay;
      row.attempts += 1;
    },
  };
}

export function memorySlackMessages(clock: Clock): SlackMessages {
  const rows = new Map<string, { rolloutId: string; message: SlackMessage; until: number }>();
  return {
    async of(rolloutId) {
      return [...rows.values()].filter((row) => row.rolloutId === rolloutId).map((row) => row.message);
    },
    async begin(rolloutId, key, channel, lease) {
      const row = rows.get(key);
      if (row === undefined) {
        rows.set(key, {
          rolloutId,
          message: { key, channel, ts: null, begunAt: clock.now, asks: false },
          until: clock.now + lease,
        });
        return 'mine';
      }
      if (row.message.ts !== null || row.until > clock.now) return 'busy';
      row.until = clock.now + lease;
      return 'unknown';
    },
    async posted(key, channel, ts, asks) {
      const row = rows.get(key);
      if (row !== undefined) row.message = { ...row.message, channel, ts, asks };
    },
    async release(key, stands) {
      const row = rows.get(key);
      if (stands === 'no') rows.delete(key);
      else if (row !== undefined) row.until = clock.now;
    },
  };
}

export interface SlackWorld {
  readonly clock: Clock;
  readonly store: MemoryStore;
  readonly useCases: Pick<UseCases, 'command' | 'get' | 'list' | 'facts'>;
  readonly log: ReturnType<typeof recordingLog>;
  /** Commands that reached the use cases and changed something. */
  readonly done: string[];
  /** A rollout in the store, as `part` says. */
  rollout(id: string, part?: Partial<Rollout>): Promise<Rollout>;
  /** The next state of a rollout, with facts about it. */
  move(
    id: string,
    part: Partial<Rollout>,
    facts?: readonly Pick<Fact, 'type' | 'message' | 'data'>[],
  ): Promise<Rollout>;
}

export function slackWorld(): SlackWorld {
  const clock: Clock = { now: 1_700_000_000_000 };
  const store = memoryStore(() => clock.now);
  const log = recordingLog();
  const done: string[] = [];
  const useCases: SlackWorld['useCases'] = {
    async command(id, wanted, principal, expected) {
      const before = (await store.load(id))?.rollout.version;
      const result = await command(
        { store, queue: silentQueue, audit: unheard, log },
        { id, command: wanted, by: principal, expectedStep: expected.step },
      );
      if (result.kind === 'done' && result.rollout.version !== before) done.push(`${wanted.name} ${id}`);
      return result;
    },
    get: async (id) => (await store.load(id))?.rollout ?? null,
    list: store.list,
    facts: store.facts,
  };
  const move: SlackWorld['move'] = async (id, part, facts = []) => {
    const previous = (await store.load(id))?.rollout;
    if (previous === undefined) throw new Error(`no rollout ${id}`);
    const wanted = { ...previous, ...part };
    const step = wanted.phase.name === 'pending' ? null : wanted.phase.step;
    const told = facts.map(
      (fact, i): Fact => ({ ...fact, seq: previous.factCount + 1 + i, at: clock.now, actor: 'sluice', step }),
    );
    const next = { ...wanted, version: previous.version + 1, factCount: previous.factCount + told.length };
    await store.commit({
      previous,
      next,
      facts: told,
      measurements: [],
      evidence: null,
      at: clock.now,
      nextTickAt: clock.now,
    });
    return next;
  };
  return {
    clock,
    store,
    useCases,
    log,
    done,
    move,
    async rollout(id, part = {}) {
      const plan = part.plan ?? aPlan();
      await store.start(
        {
          id,
          plan,
          source: {},
          createdBy: 'token ci',
          act: anAct(),
          objectKey: `object of ${Math.random()}`,
          epochAbove: 0,
          observedWeight: 0,
          idempotency: null,
          warnings: [],
          evidence: null,
        },
        'nobody',
      );
      return await move(id, part);
    },
  };
}

export const approver: Principal = { id: 'slack:T1:U1', name: 'slack U1 (ana)', role: 'approver' };

/** Phase of a rollout that waits for approval at `step` since `at`. */
export const waiting = (step: number, at: number): Rollout['phase'] => ({
  name: 'paused',
  cause: 'approval',
  held: false,
  since: at,
  message: `Waiting for approval at step ${step + 1}. Promote to go on, abort to go back`,
  step,
  reachedAt: at,
  from: 0,
  go: null,
});

export const atStepSince = (step: number, reachedAt: number | null): Rollout['phase'] => ({
  name: 'progressing',
  step,
  reachedAt,
  from: 0,
  go: null,
});
