import { describe, expect, it } from 'vitest';
import type { Answer } from '../../src/adapters/prometheus/answer.ts';
import { trouble } from '../../src/adapters/prometheus/answer.ts';
import type { PrometheusClient } from '../../src/adapters/prometheus/client.ts';
import { Silences } from '../../src/adapters/prometheus/silence.ts';

const SCRAPE = 15_000;

/** `seconds`: what Prometheus says now; null: nothing. */
function world(first: number | null = 1) {
  const given = { seconds: first, away: false, at: 0 };
  const asked: string[] = [];
  const query = async (text: string): Promise<Answer> => {
    asked.push(text);
    if (given.away) return trouble('unavailable', 'away');
    const rows = given.seconds === null ? [] : [{ labels: {}, value: given.seconds, at: 0 }];
    return { ok: true, rows } as unknown as Answer;
  };
  const client = { server: 'Prometheus at x', query } as unknown as PrometheusClient;
  const silences = new Silences({ client, scrapeInterval: SCRAPE, now: () => given.at });
  return { given, asked, silences };
}

describe('whether scrapes lie close enough', () => {
  it.each([
    ['all the time', 60_000, 1, null],
    ['a scrape that was late', 60_000, 29.9, null],
    ['two scrapes missed', 60_000, 30, 'partial'],
    ['a sixth of a long window', 600_000, 99, null],
    ['more than a sixth of it', 600_000, 100, 'partial'],
    ['nothing is known', 60_000, null, null],
  ])('%s', async (_, window, seconds, code) => {
    const { silences } = world(seconds);
    expect((await silences.in(window, 1_000))?.code ?? null).toBe(code);
  });

  it('says the gap, the window and what to correct', async () => {
    const { silences } = world(42);
    expect((await silences.in(60_000, 1_000))?.message).toMatch(/gap of 42 s .* last 1 m .* every 15 s, correct/);
  });
});

describe('the question', () => {
  it('is asked once for all who look at one time, and again before a gap could have come and gone', async () => {
    const { given, asked, silences } = world();
    await Promise.all([silences.in(60_000, 1_000), silences.in(60_000, 1_000), silences.in(300_000, 1_000)]);
    expect(asked).toHaveLength(2);
    given.at = SCRAPE - 1;
    await silences.in(60_000, 1_000);
    expect(asked).toHaveLength(2);
    given.at = SCRAPE;
    given.seconds = 31;
    expect(await silences.in(60_000, 1_000)).toMatchObject({ code: 'partial' });
    expect(asked).toHaveLength(3);
  });

  it('is asked anew after a gap, and after no answer: neither is believed for longer than a look', async () => {
    const { given, asked, silences } = world(31);
    expect(await silences.in(60_000, 1_000)).toMatchObject({ code: 'partial' });
    given.away = true;
    expect(await silences.in(60_000, 1_000)).toMatchObject({ code: 'unavailable' });
    Object.assign(given, { away: false, seconds: 1 });
    expect(await silences.in(60_000, 1_000)).toBeNull();
    expect(asked).toHaveLength(3);
  });
});
