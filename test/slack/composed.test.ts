/** The whole service with Socket Mode: its worker opens the connection, and lets go of it. */
import { afterEach, expect, it, vi } from 'vitest';
import { compose } from '../../src/compose.ts';
import { fieldsOf } from '../../src/http/slack/form.ts';
import { openRecorder } from '../../src/telemetry/metrics.ts';
import { freshDatabase, silent } from '../support/postgres.ts';
import { APP_TOKEN, CHANNEL, slackFake, slashBody, TOKEN } from '../support/slack-fake.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

it('a command that comes over the socket is answered by the worker, also to somebody who is not known', async () => {
  const fake = await slackFake();
  closing.push(() => fake.close());
  const database = await freshDatabase();
  closing.push(() => database.drop());
  const service = await compose(
    {
      databaseUrl: database.url,
      queue: { kind: 'postgres', url: database.url },
      clusters: [],
      concurrency: 1,
      retention: null,
      publicUrl: null,
      slack: { token: TOKEN, channel: CHANNEL, apiUrl: fake.apiUrl, appToken: APP_TOKEN },
    },
    { log: silent, recorder: (sources) => openRecorder({ ...sources, log: silent }) },
  );
  closing.push(() => service.close());
  const worker = service.startWorker();
  closing.push(() => worker.stop(5_000));
  await vi.waitFor(() => expect(fake.sockets.size).toBe(1), { timeout: 10_000 });
  const command = fieldsOf(Buffer.from(slashBody('status', { response_url: fake.responseUrl })));
  expect(await fake.envelope('slash_commands', command)).toMatchObject({ text: expect.stringContaining('On it') });
  await vi.waitFor(() => expect(fake.answers).toEqual([expect.stringContaining('does not know who you are')]), {
    timeout: 10_000,
  });
});
