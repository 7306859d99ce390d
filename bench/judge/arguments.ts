/** The command line of `npm run bench:judge`. */
import { parseArgs } from 'node:util';
import { isWrong, namesOf, whole } from '../support/values.ts';

export const HELP = `npm run bench:judge -- [options]
  --runs 10000          runs per scenario (500 of the healthy ones, 100 of the bad ones)
  --only B1,N5          which scenarios (all)
  --judges sluice,...   sluice, sluice-robust, sluice-independent, sluice-ungrouped, sluice-robust-ungrouped,
                        flagger, flagger-tuned, argo-docs, argo-1m, kayenta (all)
  --seed 1              another seed gives other streams
  --threads 2           worker threads, at low priority
  --json                one JSON line per scenario, judge and schedule, and nothing else
                        (npm run --silent: npm has lines of its own)
  --report FILE         runs nothing: the tables of docs/judge.md from such lines
  --plots DIR           writes pictures of the run, or of the report, as SVG
`;

export interface Arguments {
  /** Per scenario; null: by whether it is healthy. */
  readonly runs: number | null;
  /** Names of scenarios; null: all. */
  readonly only: readonly string[] | null;
  readonly judges: readonly string[] | null;
  readonly seed: number;
  readonly threads: number;
  readonly json: boolean;
  /** A record to make tables from; null: there are runs to be made. */
  readonly report: string | null;
  readonly plots: string | null;
}

export type Parsed =
  | { readonly kind: 'run'; readonly arguments: Arguments }
  | { readonly kind: 'help' }
  | { readonly kind: 'wrong'; readonly message: string };

export interface Known {
  readonly scenarios: readonly string[];
  readonly judges: readonly string[];
}

/** Runs that one seed has room for. */
export const STREAMS = 1_000_003;
const MOST_THREADS = 256;

export function parseArguments(args: readonly string[], known: Known): Parsed {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        runs: { type: 'string' },
        only: { type: 'string' },
        judges: { type: 'string' },
        seed: { type: 'string', default: '1' },
        threads: { type: 'string', default: '2' },
        json: { type: 'boolean', default: false },
        report: { type: 'string' },
        plots: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) return { kind: 'help' };
    return {
      kind: 'run',
      arguments: {
        runs: values.runs === undefined ? null : whole('--runs', values.runs, 1, STREAMS),
        only: values.only === undefined ? null : namesOf('scenario', values.only, known.scenarios),
        judges: values.judges === undefined ? null : namesOf('judge', values.judges, known.judges),
        seed: whole('--seed', values.seed, 0, 1_000_000),
        threads: whole('--threads', values.threads, 1, MOST_THREADS),
        json: values.json,
        report: values.report ?? null,
        plots: values.plots ?? null,
      },
    };
  } catch (error) {
    if (isWrong(error)) return { kind: 'wrong', message: error.message };
    throw error;
  }
}
