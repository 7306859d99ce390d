/**
 * `npm run bench`: what the service can take on this machine, as tables or as JSON lines. Not a test: nothing here fails
 * because a machine is slow.
 */
import { api } from './api.ts';
import type { Arguments } from './arguments.ts';
import { HELP, parseArguments } from './arguments.ts';
import { capacity } from './capacity.ts';
import { reaction } from './reaction.ts';
import { machine } from './support/machine.ts';
import { openReport } from './support/report.ts';

async function run({ only, quick, queues, rollouts, seconds, concurrency, queryDelay, node, ...more }: Arguments) {
  const report = openReport(more.json, machine());
  const [queue = 'redis'] = queues;

  if (only.includes('capacity'))
    for (const one of queues)
      await capacity({ queue: one, rollouts, seconds, concurrency, queryDelay, evidence: more.evidence, node }, report);

  if (only.includes('reaction')) {
    const runs = quick
      ? [{ background: 0, failureLimit: 1, rollbacks: 60 }]
      : [
          { background: 0, failureLimit: 1, rollbacks: 200 },
          { background: 1_000, failureLimit: 1, rollbacks: 200 },
          { background: 1_000, failureLimit: 2, rollbacks: 200 },
        ];
    for (const one of runs) await reaction({ ...one, queue, concurrency, queryDelay }, report);
    report.table('reaction', 'interval 1 s');
  }

  if (only.includes('api')) await api({ queue, seconds: quick ? 5 : 15, posts: quick ? 50 : 200 }, report);
}

const parsed = parseArguments(process.argv.slice(2));
if (parsed.kind === 'run') await run(parsed.arguments);
else if (parsed.kind === 'help') process.stdout.write(HELP);
else {
  process.stderr.write(`${parsed.message}\n\n${HELP}`);
  process.exitCode = 2;
}
