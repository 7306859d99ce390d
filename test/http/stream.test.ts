import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Principal, StoreUnavailable } from '../../src/app/ports.ts';
import type { Command } from '../../src/domain/command.ts';
import type { Harness } from './harness.ts';
import { harness, TOKENS } from './harness.ts';
import type { Stream } from './sse.ts';
import { open } from './sse.ts';

const someone: Principal = { id: 'p', name: 'p', role: 'admin' };
const auth = { Authorization: `Bearer ${TOKENS.viewer}` };
const follow = (h: Harness, id: string, headers: Record<string, string> = {}, query = ''): Promise<Stream> =>
  open(`${h.base}/rollouts/${id}/events${query}`, { ...auth, ...headers });

const runToTheEnd = async (h: Harness, id: string): Promise<void> => {
  await h.fake.toFirstStep(id);
  await h.call('post', `/rollouts/${id}/abort`);
  await h.fake.tick(id);
};

describe('the live stream', () => {
  it('is a stream of server-sent events that no proxy may keep or cut', async () => {
    const h = await harness();
    const id = await h.started();
    const stream = await follow(h, id);
    expect(stream.status).toBe(200);
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
    expect(stream.headers.get('cache-control')).toBe('no-store');
    expect(stream.headers.get('x-accel-buffering')).toBe('no');
    expect(stream.headers.get('x-request-id')).not.toBeNull();
    await expect.poll(() => stream.retries).toEqual([3000]);
    stream.leave();
    await stream.closed;
  });

  it('carries the rollout itself too where that is asked for, after each change, without an id', async () => {
    const h = await harness();
    const id = await h.started();
    const stream = await follow(h, id, {}, '?state=true');
    const states = () => stream.events.filter(({ event }) => event === 'state');
    await expect.poll(() => states().length).toBe(1);
    expect(states()[0]).toMatchObject({ id: '', data: { id, status: 'pending', version: 1 } });
    await h.fake.toFirstStep(id);
    await expect.poll(() => states().at(-1)?.data).toMatchObject({ status: 'progressing', weight: { observed: 5 } });
    const present = (await h.call('get', `/rollouts/${id}`)).body;
    await expect.poll(() => states().at(-1)?.data).toEqual(present);
    await runToTheEnd(h, id);
    await stream.closed;
    expect(stream.events.at(-1)).toMatchObject({ id: 'end', event: 'end' });
    const last = stream.events.filter(({ id: seq }) => /^\d+$/.test(seq)).map(({ id: seq }) => Number(seq));
    expect(last).toEqual(last.map((_, i) => i + 1));
    const without = await follow(h, id);
    await without.closed;
    expect(without.events.some(({ event }) => event === 'state')).toBe(false);
  });

  it('sends what has been, then what comes, then an end with the rollout, and closes', async () => {
    const h = await harness();
    const id = await h.started();
    await h.fake.toFirstStep(id);
    const stream = await follow(h, id);
    await expect.poll(() => stream.events.length).toBeGreaterThanOrEqual(3);
    await h.call('post', `/rollouts/${id}/abort`);
    await h.fake.tick(id);
    await stream.closed;
    const facts = (await h.call('get', `/rollouts/${id}/events`)).body.items;
    expect(stream.events.slice(0, -1).map((e) => e.data)).toEqual(facts);
    expect(stream.events.slice(0, -1).map((e) => [e.id, e.event])).toEqual(
      facts.map((f: { seq: number; type: string }) => [String(f.seq), f.type]),
    );
    expect(stream.events.at(-1)).toMatchObject({ id: 'end', event: 'end', data: { id, status: 'aborted' } });
  });

  it('resumes after Last-Event-ID, or after ?after', async () => {
    const h = await harness();
    const id = await h.started();
    await runToTheEnd(h, id);
    for (const stream of [
      await follow(h, id, { 'Last-Event-ID': '2' }),
      await follow(h, id, {}, '?after=2'),
      await follow(h, id, { 'Last-Event-ID': '2' }, '?after=0'),
    ]) {
      await stream.closed;
      expect(stream.events[0]?.id).toBe('3');
      expect(stream.events.at(-1)?.id).toBe('end');
    }
  });

  it('gives the end again to who missed it, and 204 to who has seen it, so that browsers stop coming back', async () => {
    const h = await harness();
    const id = await h.started();
    await runToTheEnd(h, id);
    const facts = (await h.call('get', `/rollouts/${id}/events`)).body.items;
    const missed = await follow(h, id, { 'Last-Event-ID': String(facts.length) });
    await missed.closed;
    expect(missed.events.map((e) => e.event)).toEqual(['end']);
    const seen = await follow(h, id, { 'Last-Event-ID': 'end' });
    expect(seen.status).toBe(204);
  });

  it('breaks long silences, so that no proxy cuts the line', async () => {
    const h = await harness({ limits: { heartbeat: 100 } });
    const id = await h.started();
    const stream = await follow(h, id);
    await expect.poll(() => stream.comments.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(2);
    // Changes of the row that bring no fact must not keep the heartbeat away.
    const before = stream.comments.length;
    await h.fake.toFirstStep(id);
    for (let i = 0; i < 20; i += 1) {
      await h.fake.tick(id);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(stream.comments.length).toBeGreaterThan(before);
    stream.leave();
    await stream.closed;
  });

  it('ends when the token is revoked', async () => {
    const h = await harness({ limits: { heartbeat: 100 } });
    const id = await h.started();
    const stream = await follow(h, id);
    await expect.poll(() => stream.events.length).toBe(1);
    h.revoked.add(TOKENS.viewer);
    await stream.closed;
    expect(stream.comments.join()).toContain('no longer valid');
    expect((await follow(h, id)).status).toBe(401);
  });

  it('breaks off, and is taken up again, when the database is away in between', async () => {
    const h = await harness({ limits: { heartbeat: 100 } });
    const id = await h.started();
    const stream = await follow(h, id);
    await expect.poll(() => stream.events.length).toBe(1);
    h.fake.breakWith(new StoreUnavailable('away'));
    await stream.closed;
    expect(h.log.filter((line) => line.level === 'error')).toEqual([]);
    const refused = await fetch(`${h.base}/rollouts/${id}/events`, {
      headers: { ...auth, Accept: 'text/event-stream' },
    });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).not.toBeNull();
    h.fake.breakWith(null);
    await runToTheEnd(h, id);
    const again = await follow(h, id, { 'Last-Event-ID': '1' });
    await again.closed;
    expect(again.events[0]?.id).toBe('2');
    expect(again.events.at(-1)?.id).toBe('end');
  });

  it('waits for a slow reader instead of queueing for it', async () => {
    const h = await harness();
    const id = await h.started();
    let pages = 0;
    const message = 'x'.repeat(20_000);
    Object.assign(h.fake, {
      // An endless history: only a stream that waits for its reader stops asking for more of it.
      facts: async (_: string, after: number, limit: number) => {
        pages += 1;
        return Array.from({ length: limit }, (__, i) => ({
          seq: after + i + 1,
          at: 0,
          type: 'paused',
          actor: 'x',
          step: 0,
          message,
          data: {},
        }));
      },
    });
    const response = await fetch(`${h.base}/rollouts/${id}/events`, {
      headers: { ...auth, Accept: 'text/event-stream' },
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    const asked = pages;
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(pages).toBe(asked);
    expect(asked).toBeLessThan(20);
    await response.body?.cancel();
  });

  it('HEAD says what the stream would be and holds nothing open', async () => {
    const h = await harness();
    const id = await h.started();
    const response = await h.call('head', `/rollouts/${id}/events`, { headers: { Accept: 'text/event-stream' } });
    expect(response.status).toBe(200);
    expect(response.headers['content-type']).toBe('text/event-stream');
  });

  it('404 before the stream for an unknown rollout; 400 for an id that is none of ours', async () => {
    const h = await harness();
    const id = await h.started();
    expect((await h.call('get', '/rollouts/nope/events', { headers: { Accept: 'text/event-stream' } })).status).toBe(
      404,
    );
    const response = await h.call('get', `/rollouts/${id}/events`, {
      headers: { Accept: 'text/event-stream', 'Last-Event-ID': 'x' },
    });
    expect(response.status).toBe(400);
    expect(response.body.errors).toEqual([expect.objectContaining({ header: 'last-event-id' })]);
  });

  it('lets one caller hold only so many open, and gives the places back', async () => {
    const h = await harness({ limits: { openPerCaller: 2 } });
    const id = await h.started();
    const held = [await follow(h, id), await follow(h, id)];
    expect((await follow(h, id)).status).toBe(429);
    held[0]?.leave();
    await held[0]?.closed;
    await expect
      .poll(async () => {
        const stream = await follow(h, id);
        stream.leave();
        return stream.status;
      })
      .toBe(200);
    held[1]?.leave();
    await held[1]?.closed;
  });
});

describe('no fact is lost and none repeated', () => {
  it('when a fact lands between the look at the facts and the wait', async () => {
    const h = await harness();
    const id = await h.started();
    await h.fake.toFirstStep(id);
    const { facts } = h.fake;
    let asked = 0;
    Object.assign(h.fake, {
      facts: async (...args: Parameters<typeof facts>) => {
        const page = await facts(...args);
        asked += 1;
        if (asked === 1) await h.call('post', `/rollouts/${id}/pause`);
        return page;
      },
    });
    const stream = await follow(h, id);
    await expect.poll(() => stream.events.map((e) => e.event), { timeout: 5_000 }).toContain('paused');
    stream.leave();
    await stream.closed;
  });

  it('when there are more facts than one page holds', async () => {
    const h = await harness();
    const id = await h.started();
    await h.fake.toFirstStep(id);
    for (let i = 0; i < 220; i += 1) {
      await h.fake.command(id, { name: 'pause', reason: '' }, someone, {});
      await h.fake.command(id, { name: 'resume' }, someone, {});
    }
    await runToTheEnd(h, id);
    const stream = await follow(h, id);
    await stream.closed;
    const ids = stream.events.map((e) => e.id);
    expect(ids.length).toBeGreaterThan(440);
    expect(ids).toEqual([...ids.slice(0, -1).map((_, i) => String(i + 1)), 'end']);
  });

  it('whenever readers come, leave and come back while facts arrive', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ facts: fc.integer({ min: 0, max: 4 }), pause: fc.integer({ min: 0, max: 15 }) }), {
          minLength: 3,
          maxLength: 12,
        }),
        fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 6 }),
        async (bursts, stays) => {
          const h = await harness();
          const id = await h.started();
          await h.fake.toFirstStep(id);
          let over = false;

          const write = async (): Promise<void> => {
            for (const { facts, pause } of bursts) {
              for (let i = 0; i < facts; i += 1) {
                const wanted: Command = i % 2 === 0 ? { name: 'pause', reason: '' } : { name: 'resume' };
                await h.fake.command(id, wanted, someone, {});
              }
              await new Promise((resolve) => setTimeout(resolve, pause));
            }
            await h.call('post', `/rollouts/${id}/abort`);
            await h.fake.tick(id);
            over = true;
          };
          const seen: string[] = [];
          const read = async (): Promise<void> => {
            for (let visit = 0; ; visit += 1) {
              const last = seen.at(-1);
              const stream = await follow(h, id, last === undefined ? {} : { 'Last-Event-ID': last });
              const stay = stays[visit];
              if (stay !== undefined) {
                await Promise.race([stream.closed, new Promise((resolve) => setTimeout(resolve, stay))]);
                stream.leave();
              }
              await stream.closed;
              seen.push(...stream.events.map((e) => e.id));
              if (seen.at(-1) === 'end') return;
            }
          };
          await Promise.all([write(), read()]);
          expect(over).toBe(true);
          const facts = (await h.call('get', `/rollouts/${id}/events?limit=200`)).body.items as { seq: number }[];
          expect(seen).toEqual([...facts.map((f) => String(f.seq)), 'end']);
          await h.server.close(1_000);
        },
      ),
      { numRuns: 40 },
    );
  }, 120_000);
});
