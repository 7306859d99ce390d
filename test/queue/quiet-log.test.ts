import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openQuietLog } from '../../src/adapters/queue/quiet-log.ts';
import { recordingLog } from './recording-log.ts';

describe('the quiet log', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('logs the first of a storm at once and the number of the others at the end of the window', () => {
    const log = recordingLog();
    const quiet = openQuietLog(log, 10_000);
    for (let error = 0; error < 25; error += 1) quiet.warn({}, `connect ECONNREFUSED 127.0.0.1:${5432 + error}`);
    expect(log.lines.map((line) => line.message)).toEqual(['connect ECONNREFUSED 127.0.0.1:5432']);
    vi.advanceTimersByTime(10_000);
    expect(log.lines[1]).toEqual({
      level: 'warn',
      message: 'connect ECONNREFUSED 127.0.0.1:5432 (and 24 more like this)',
      fields: { repeats: 24 },
    });
  });

  it('logs the same message again after the window', () => {
    const log = recordingLog();
    const quiet = openQuietLog(log, 10_000);
    quiet.warn({}, 'away');
    vi.advanceTimersByTime(10_001);
    quiet.warn({}, 'away');
    expect(log.lines.map((line) => line.message)).toEqual(['away', 'away']);
  });

  it('holds back nothing of another kind', () => {
    const log = recordingLog();
    const quiet = openQuietLog(log, 10_000);
    quiet.warn({ a: 1 }, 'away');
    quiet.warn({ b: 2 }, 'read only');
    expect(log.lines.map((line) => line.fields)).toEqual([{ a: 1 }, { b: 2 }]);
  });

  it('says what it holds back when it is closed', () => {
    const log = recordingLog();
    const quiet = openQuietLog(log, 10_000);
    quiet.warn({}, 'away');
    quiet.warn({}, 'away');
    quiet.close();
    expect(log.lines.at(-1)?.message).toBe('away (and 1 more like this)');
    vi.advanceTimersByTime(20_000);
    expect(log.lines).toHaveLength(2);
  });
});
