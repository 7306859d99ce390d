/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';
import type { QueueKind } from './support/stage.ts';
import { isWrong, namesOf, whole } from './support/values.ts';

export const HELP = `npm run bench -- [options]
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

const BENCHMARKS = ['capacity', 'reaction', 'api'] as const;
const QUEUES = ['redis', 'postgres'] as const satisfies readonly QueueKind[];

export interface Arguments {
  readonly only: readonly (typeof BENCHMARKS)[number][];
  readonly quick: boolean;
  readonly queues: readonly QueueKind[];
  /** Of capacity. */
  readonly rollouts: readonly number[];
  readonly seconds: number;
  readonly concurrency: number;
  /** Milliseconds. */
  readonly queryDelay: number;
  /** Options of Node for the worker. */
  readonly node: readonly string[];
  readonly evidence: boolean;
  readonly json: boolean;
}

export type Parsed =
  | { readonly kind: 'run'; readonly arguments: Arguments }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string };

export function parseArguments(args: readonly string[]): Parsed {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', default: BENCHMARKS.join() },
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
    if (values.help) return { kind: 'help' };
    const { quick, evidence, json, profile } = values;
    const rollouts = values.rollouts ?? (quick ? '500' : '500,1000,2000,3500,5000');
    return {
      kind: 'run',
      arguments: {
        only: namesOf('benchmark', values.only, BENCHMARKS),
        quick,
        queues: namesOf('queue', values.queue ?? (quick ? 'redis' : QUEUES.join()), QUEUES),
        rollouts: rollouts.split(',').map((text) => whole('--rollouts', text.trim(), 1, 100_000)),
        seconds: whole('--seconds', values.seconds ?? (quick ? '15' : '30'), 1, 3_600),
        concurrency: whole('--concurrency', values.concurrency, 1, 100_000),
        queryDelay: whole('--query-delay', values['query-delay'], 0, 60_000),
        node: [
          ...(values.node?.split(' ') ?? []),
          ...(profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`]),
        ],
        evidence,
        json,
      },
    };
  } catch (error) {
    if (isWrong(error)) return { kind: 'wrong', message: error.message };
    throw error;
  }
}
