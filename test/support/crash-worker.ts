/**
 * A worker process that dies (SIGKILL, nothing is cleaned up) when it passes a named place of a tick for the n-th time.
 * argv: JSON of { settings, place, nth }.
 */
import { compose, type Settings } from '../../src/compose.ts';
import { deafRecorder, quietLog } from './quiet.ts';

const { settings, place, nth } = JSON.parse(process.argv[2] ?? '{}') as {
  settings: Settings;
  place: string;
  nth: number;
};

let passed = 0;
const service = await compose(settings, {
  log: quietLog,
  recorder: () => deafRecorder,
  crashPoint: (at) => {
    if (at !== place) return;
    passed += 1;
    if (passed === nth) process.kill(process.pid, 'SIGKILL');
  },
});
service.startWorker();
process.stdout.write('working\n');
// The parent ends it; an orphan ends itself.
setInterval(() => {
  if (process.ppid === 1) process.exit(1);
}, 500);
