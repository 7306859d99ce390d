/** A worker in a process of its own: prints each id that it starts on and never ends it. For tests that kill it. */
import { openQueue } from '../../src/adapters/queue.ts';
import { recordingLog } from './recording-log.ts';

const [kind, url, prefix] = process.argv.slice(2);
if ((kind !== 'redis' && kind !== 'postgres') || url === undefined || prefix === undefined)
  throw new Error('usage: worker-process.ts redis|postgres <url> <prefix>');

const queue = await openQueue({ backend: { kind, url }, prefix, log: recordingLog() });
queue.work(
  (id) => {
    process.stdout.write(`${id}\n`);
    return new Promise(() => undefined);
  },
  { concurrency: 1 },
);
process.stdout.write('ready\n');
