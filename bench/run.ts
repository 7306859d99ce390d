/**
 * `npm run bench`: what the service can take on this machine, as tables or as JSON lines. Not a test: nothing here fails
 * because a machine is slow.
 */
import { parseArgs } from 'node:util';
import { api } from './api.ts';
import { capacity } from './capacity.ts';
import { reaction } from './reaction.ts';
import { machine } from './support/machine.ts';
import { openReport } from './support/report.ts';
import type { QueueKind } from './support/stage.ts';

const HELP = `npm run bench -- [options]
  --only capacity,reaction,api   which benchmarks (all)
  --quick                        a look, in at most three minutes
  --queue redis,postgres         back ends of the queue (both)
  --rollouts 500,1000            numbers of active rollouts that capacity tries, rising
  --seconds 30                   how long each is measured
  --concurrency 300              ticks at once in the worker
  --query-delay 5                milliseconds that a Prometheus query takes
  --node=OPTIONS                 options of Node for the worker, as --node=--max-old-space-size=256
  --evidence                     capacity: the versions are compared too, request by request
  --profile DIR                  CPU profile of the worker (capacity)
  --json                         JSON lines instead of tables
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'capacity,reaction,api' },
    quick: { type: 'boolean', default: false },
    queue: { type: 'string' },
    rollouts: { type: 'string' },
    seconds: { type: 'string' },
    concurrency: { type: 'string', default: '300' },
    'query-delay': { type: 'string', default: '5' },
    node: { type: 'string' },
    evidence: { type: 'boolean', default: false },
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(HELP);
  process.exit(0);
}

const { quick } = values;
const numbers = (text: string): number[] => text.split(',').map(Number);
const report = openReport(values.json, machine());
const wanted = values.only.split(',');
const concurrency = Number(values.concurrency);
const queryDelay = Number(values['query-delay']);
const queues = (values.queue ?? (quick ? 'redis' : 'redis,postgres')).split(',') as QueueKind[];

if (wanted.includes('capacity'))
  for (const queue of queues)
    await capacity(
      {
        queue,
        rollouts: numbers(values.rollouts ?? (quick ? '500' : '500,1000,2000,3500,5000')),
        seconds: Number(values.seconds ?? (quick ? 15 : 30)),
        concurrency,
        queryDelay,
        evidence: values.evidence,
        node: [
          ...(values.node?.split(' ') ?? []),
          ...(values.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${values.profile}`]),
        ],
      },
      report,
    );

if (wanted.includes('reaction')) {
  const runs = quick
    ? [{ background: 0, failureLimit: 1, rollbacks: 60 }]
    : [
        { background: 0, failureLimit: 1, rollbacks: 200 },
        { background: 1_000, failureLimit: 1, rollbacks: 200 },
        { background: 1_000, failureLimit: 2, rollbacks: 200 },
      ];
  for (const run of runs) await reaction({ ...run, queue: queues[0] ?? 'redis', concurrency, queryDelay }, report);
  report.table('reaction', 'interval 1 s');
}

if (wanted.includes('api'))
  await api({ queue: queues[0] ?? 'redis', seconds: quick ? 5 : 15, posts: quick ? 50 : 200 }, report);
