/** What happens in each simulated rollout. Times in seconds since the canary's first traffic; rates as frequencies. */

/** Part of the responses that take a lognormal time of their own. */
export interface Slow {
  readonly part: number;
  /** Median in milliseconds, and sigma of its logarithm. */
  readonly median: number;
  readonly sigma: number;
}

export interface Scenario {
  readonly name: string;
  readonly words: string;
  readonly healthy: boolean;
  /** When the canary turns bad; 0 where it is healthy. */
  readonly onset: number;
  /** Requests per second of the whole service. */
  readonly rps: (t: number) => number;
  /** Error frequency of the stable and of the canary. */
  readonly stable: (t: number, noise: number) => number;
  readonly canary: (t: number, noise: number) => number;
  /** Slow responses of the canary; null: none. */
  readonly slow: Slow | null;
  /** What multiplies the canary's times. */
  readonly stretch?: (t: number) => number;
  /** Bursts of errors in single pods: how many per hour and pod, how long, how frequent the errors in them. */
  readonly hiccups?: { readonly perHour: number; readonly seconds: number; readonly errors: number };
  /** Every error is seen this often on average: a retry of the mesh meets the same trouble. */
  readonly retries?: number;
  /** Errors come in sessions that stay with one version: seconds per session, errors per session. */
  readonly sessions?: { readonly seconds: number; readonly errors: number };
  /** Trouble of the one zone in which the canary's pods and a third of the stable's are. */
  readonly zone?: { readonly from: number; readonly to: number; readonly errors: number; readonly always: number };
  /** Traffic per pod varies by this factor; the canary's pods are the small ones. */
  readonly sizes?: number;
  /** From and to: nothing is scraped. */
  readonly gap?: readonly [number, number];
  /** sigma of the shared noise of the error frequency, renewed each minute. */
  readonly noise?: number;
  /** Hindsight: the good and the bad error frequency, and the bad p99, which a tuned threshold would know. */
  readonly known: { readonly good: number; readonly bad: number; readonly p99: number };
}

const always = (value: number) => (): number => value;
const P99 = 321;

const healthy = (name: string, words: string, rate: number, rps: number, more: Partial<Scenario> = {}): Scenario => ({
  name,
  words,
  healthy: true,
  onset: 0,
  rps: always(rps),
  stable: always(rate),
  canary: more.stable ?? always(rate),
  slow: null,
  known: { good: rate, bad: rate * 10, p99: P99 * 2 },
  ...more,
});

const bad = (
  name: string,
  words: string,
  good: number,
  worse: number,
  rps: number,
  more: Partial<Scenario> = {},
): Scenario => ({
  name,
  words,
  healthy: false,
  onset: 0,
  rps: always(rps),
  stable: always(good),
  canary: (t) => (t >= (more.onset ?? 0) ? worse : good),
  slow: null,
  known: { good: Math.max(good, 0.0001), bad: worse, p99: P99 * 2 },
  ...more,
});

/** p99 of 491 ms and of 642 ms where the base has 321 ms. */
const SLOWER: Slow = { part: 0.04, median: 365, sigma: 0.35 };
const TWICE: Slow = { part: 0.046, median: 500, sigma: 0.3 };

const ramp = (t: number, from: number, to: number, low: number, high: number): number =>
  low + (high - low) * Math.min(1, Math.max(0, (t - from) / (to - from)));

export const SCENARIOS: readonly Scenario[] = [
  healthy('N1', '0.1 % errors in both', 0.001, 100),
  healthy('N2', '1 % errors in both', 0.01, 100),
  healthy('N3', '2 requests per second', 0.005, 2),
  healthy('N4', 'traffic and errors drift over the day', 0.001, 100, {
    rps: (t) => 100 * (1 + 0.5 * Math.sin(t / 500)),
    stable: (t) => 0.001 * (1 + 0.9 * Math.sin(t / 300)),
  }),
  healthy('N5', 'shared outage: 10 % in both for 8 min', 0.001, 100, {
    stable: (t) => (t >= 420 && t < 900 ? 0.1 : 0.001),
  }),
  healthy('N6', 'pods hiccup once an hour, 10 s of 30 % errors', 0.001, 100, {
    hiccups: { perHour: 1, seconds: 10, errors: 0.3 },
  }),
  healthy('N7', 'cold start: 40 s of 1 % errors and 2.4 times the latency', 0.001, 100, {
    canary: (t) => (t < 40 ? 0.01 : 0.001),
    stretch: (t) => (t < 40 ? 2.4 : 1),
  }),
  healthy('N8', 'a request every 20 s', 0.001, 0.05),
  healthy('N9', 'no metrics for 3 min', 0.001, 100, { gap: [400, 580] }),
  healthy('N10', 'harmless: 0.001 % -> 0.02 %', 0.00001, 100, {
    canary: always(0.0002),
    known: { good: 0.00001, bad: 0.0001, p99: P99 * 2 },
  }),
  healthy('N11', 'pods hiccup three times an hour', 0.001, 100, {
    hiccups: { perHour: 3, seconds: 10, errors: 0.3 },
  }),
  healthy('N12', 'retries: each failure is seen three times', 0.001, 100, { retries: 3 }),
  healthy('N13', 'canary in one zone: 15 % more errors there, 20 s of trouble', 0.002, 100, {
    zone: { from: 500, to: 520, errors: 0.01, always: 1.15 },
  }),
  healthy('N14', 'sticky sessions: 20 s, five errors each', 0.002, 100, { sessions: { seconds: 20, errors: 5 } }),
  healthy('N15', 'bursts longer than a block: 30 s of 5 % errors per pod and hour', 0.001, 100, {
    hiccups: { perHour: 1, seconds: 30, errors: 0.05 },
  }),
  healthy('N16', 'pods of unequal size, with hiccups', 0.001, 100, {
    sizes: 4,
    hiccups: { perHour: 1, seconds: 10, errors: 0.3 },
  }),
  healthy('N17', '10,000 requests per second', 0.001, 10_000),
  healthy('N18', 'harmless: 0.001 % -> 0.02 %, and a shared outage of 8 min', 0.00001, 1000, {
    stable: (t) => (t >= 420 && t < 900 ? 0.1 : 0.00001),
    canary: (t) => (t >= 420 && t < 900 ? 0.1 : 0.0002),
    known: { good: 0.00001, bad: 0.0001, p99: P99 * 2 },
  }),
  bad('B1', '0.1 % -> 1 %', 0.001, 0.01, 100),
  bad('B2', '1 % -> 5 %', 0.01, 0.05, 100),
  bad('B3', '0.1 % -> 1 % at 1,000 rps', 0.001, 0.01, 1000),
  bad('B4', '0.5 % -> 5 % at 2 rps', 0.005, 0.05, 2),
  bad('B5', 'p99 x 1.5', 0.001, 0.001, 100, { slow: SLOWER, known: { good: 0.001, bad: 0.01, p99: 491 } }),
  bad('B6', 'leak: 0.1 % -> 10 % from minute 5 to 25', 0.001, 0.1, 100, {
    onset: 300,
    canary: (t) => ramp(t, 300, 1500, 0.001, 0.1),
  }),
  bad('B7', '50 % fail', 0.001, 0.5, 100),
  bad('B8', '0.1 % -> 2 % from minute 12', 0.001, 0.02, 100, { onset: 720 }),
  bad('B9', '1 % with noise in both, canary 3 % more', 0.01, 0.04, 100, {
    noise: 0.008,
    stable: (_, noise) => Math.max(0.0005, 0.01 + noise),
    canary: (_, noise) => Math.max(0.0005, 0.01 + noise) + 0.03,
  }),
  bad('B10', '0 -> 0.5 %', 0, 0.005, 100),
  bad('B11', '0.1 % -> 2 %', 0.001, 0.02, 100),
  bad('B12', 'p99 x 2', 0.001, 0.001, 100, { slow: TWICE, known: { good: 0.001, bad: 0.01, p99: 642 } }),
  bad('B13', '0.1 % -> 1 % with retries', 0.001, 0.01, 100, { retries: 3 }),
  bad('B14', '0.1 % -> 0.6 % and p99 x 1.5', 0.001, 0.006, 100, {
    slow: SLOWER,
    known: { good: 0.001, bad: 0.006, p99: 491 },
  }),
  bad('B15', '0.1 % -> 1 % in sticky sessions', 0.001, 0.01, 100, { sessions: { seconds: 20, errors: 5 } }),
  bad('B16', '0.1 % -> 1 % at 10,000 rps', 0.001, 0.01, 10_000),
  bad('B17', '50 % fail from minute 22', 0.001, 0.5, 100, { onset: 1320 }),
];
