import { describe, expect, it } from 'vitest';
import { type LogOptions, openLog } from '../../src/telemetry/log.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

function open(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = openLog({
    level: 'debug',
    secrets: [],
    ...options,
    destination: { write: (line) => void lines.push(line) },
  });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? 'null') as Record<string, unknown> };
}

describe('a line', () => {
  it('is one JSON object with time, level and message', () => {
    const { log, lines, last } = open();
    log.info({ rolloutId: 'r1', weight: 5 }, 'canary weight 0 -> 5');
    expect(lines).toHaveLength(1);
    expect(last()).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      rolloutId: 'r1',
      weight: 5,
      msg: 'canary weight 0 -> 5',
    });
  });

  it('carries the fields of its child loggers', () => {
    const { log, last } = open();
    log.child({ rolloutId: 'r1' }).child({ version: 3 }).warn({ step: 2 }, 'held');
    expect(last()).toMatchObject({ rolloutId: 'r1', version: 3, step: 2 });
  });

  it('shows an error with its message, stack and cause', () => {
    const { log, last } = open();
    const lost = Object.assign(new Error('ECONNRESET'), {
      code: 'ECONNRESET',
      client: { every: 'thing of the driver' },
    });
    log.error({ err: new Error('commit failed', { cause: lost }) }, 'the tick failed');
    expect(last()['err']).toMatchObject({
      message: 'commit failed',
      stack: expect.stringContaining('log.test.ts'),
      cause: { message: 'ECONNRESET', code: 'ECONNRESET' },
    });
    expect(JSON.stringify(last())).not.toContain('driver');
  });

  it('is left out below the level', () => {
    const { log, lines } = open({ level: 'warn' });
    log.info({}, 'no');
    log.warn({}, 'yes');
    expect(lines).toHaveLength(1);
  });
});

describe('a secret', () => {
  const SECRET = 'pä"ss/wo?rd\\1%';

  it.each(LEVELS)('appears nowhere in a line of level %s, however it came in', (level) => {
    const { log, lines } = open({ secrets: [SECRET, SECRET.slice(0, 6), ''] });
    const error = Object.assign(
      new Error(`cannot connect to postgres://sluice:${encodeURIComponent(SECRET)}@db/x with ${SECRET}`),
      {
        config: { headers: { Authorization: SECRET } },
        cause: new Error(`inner ${SECRET}`),
      },
    );
    for (const logger of [log, log.child({ dsn: SECRET })]) {
      logger[level](
        { anything: SECRET, [`key ${SECRET}`]: 1, deep: { er: [{ and: { deeper: SECRET } }] }, err: error },
        `message with ${SECRET}`,
      );
      logger[level]({ json: JSON.stringify({ note: SECRET }) }, 'text in text');
    }
    const text = lines.join('');
    for (const spelling of [
      SECRET,
      encodeURIComponent(SECRET),
      JSON.stringify(SECRET).slice(1, -1),
      SECRET.slice(0, 6),
    ])
      expect(text).not.toContain(spelling);
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
    expect(text).toContain('[secret]');
  });

  it.each([
    'authorization',
    'Authorization',
    'token',
    'botToken',
    'SLACK_BOT_TOKEN',
    'password',
    'secret',
    'signing-secret',
    'cookie',
    'set-cookie',
    'x-slack-signature',
    'connectionString',
    'apiKey',
    'tokens',
  ])('is struck out of the field %s at any depth, as text, number or list', (name) => {
    const { log, lines } = open();
    log.info({ [name]: 'hidden-1', a: { [name]: 'hid\\"den-2', b: { c: { d: { e: { [name]: 'hidden-3' } } } } } }, 'x');
    log.info({ [name]: ['hidden-4', 'hidden-5'] }, 'x');
    log.info({ [name]: 123456789 }, 'x');
    log.info({ body: JSON.stringify({ [name]: 'hidden-6', other: 'shown' }) }, 'x');
    const text = lines.join('');
    expect(text).not.toMatch(/hid|den-\d|123456789/);
    expect(text).toContain('shown');
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
  });

  it.each([
    ['an id token', 'wanted a name; found eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln', 'wanted a name; found [token]'],
    ['our own token', 'used slc_ab12cd_Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA by ana', 'used [token] by ana'],
    ['a token of Slack', 'bot xoxb-1234567890-abcdef failed', 'bot [token] failed'],
    ['a header', 'sent Authorization: Bearer eyJhbGciOi.J9 to it', 'sent Authorization: Bearer [secret] to it'],
    ['a URL with a password', 'at redis://:hunter22@cache:6379/0', 'at redis://:[secret]@cache:6379/0'],
    [
      'a URL with a user and a password',
      'at https://ana:hunter22@prom.example/x',
      'at https://ana:[secret]@prom.example/x',
    ],
    ['a query string', 'GET /events?token=abcdef&after=3', 'GET /events?token=[secret]&after=3'],
  ])('that is %s is known by its shape', (_, text, shown) => {
    const { log, last } = open();
    log.info({ text }, text);
    expect(last()).toMatchObject({ msg: shown, text: shown });
  });

  it.each([
    'bearer authentication failed',
    'the token is unknown',
    'http://prometheus:9090/api',
    'a basic information',
    'weights 5:95@step',
  ])('is not seen in %j', (text) => {
    const { log, last } = open();
    log.info({}, text);
    expect(last()['msg']).toBe(text);
  });

  it('of three letters or less is taken for a word', () => {
    const { log, last } = open({ secrets: ['', 'a', 'abc'] });
    log.info({}, 'abacus and abc');
    expect(last()['msg']).toBe('abacus and abc');
  });
});

it('costs little: 1000 lines in well under a second', () => {
  const { log } = open({ secrets: Array.from({ length: 10 }, (_, n) => `secret-value-${n}`) });
  const started = performance.now();
  for (let line = 0; line < 1_000; line += 1)
    log.info(
      { rolloutId: 'r1', query: 'sum(rate(istio_requests_total{a="b"}[1m]))'.repeat(10) },
      'canary weight 0 -> 5',
    );
  expect(performance.now() - started).toBeLessThan(1_000);
});
