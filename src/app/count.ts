/**
 * Counting for the comparison: the setup's provider is asked first, then Prometheus where that one cannot count now. The
 * answer is entered into the ledger, which is committed with the decision that it leads to.
 */
import { weightInForce } from '../domain/comparison.ts';
import type { Ledger, Moment } from '../domain/evidence/ledger.ts';
import { blockEndsAt, take } from '../domain/evidence/ledger.ts';
import type { EvidenceLook, Route } from '../domain/observation.ts';
import type { Instant, Millis, Weight } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import type { Counted, Logger, MetricsGateway, MetricsProvider } from './ports.ts';

export interface CountPorts {
  readonly metrics: MetricsGateway;
  readonly log: Logger;
}

/** Who counts where the plan's provider cannot. */
export const FALLBACK = 'prometheus';

/** Counts of exporters that were not heard for so long are not waited for. */
const LONGEST_SILENCE: Millis = 300_000;
const LATE_FROM_THE_START: Millis = 60_000;
/** A block that is over but lacks a side (its scrape comes a moment later) is looked at again after this part of it. */
const SOON = 0.2;
const SOONEST: Millis = 250;

type Bounded = <T>(answer: Promise<T>, late: (within: Millis) => T) => Promise<T>;

/** `bounded`: gives up on an answer at the tick's deadline. */
export async function count(
  ports: CountPorts,
  rollout: Rollout,
  ledger: Ledger,
  route: Route,
  at: Instant,
  bounded: Bounded,
): Promise<EvidenceLook | null> {
  const moment = momentOf(rollout, route, at);
  if (moment === null) return null;
  const { provider } = ledger.setup;
  const asked = (name: string): Promise<Counted> => ask(ports, rollout, ledger, name, moment, bounded);
  // Both at once where it did not count the last time: one that hangs until the deadline leaves no time for another.
  const instead = provider !== FALLBACK && needsFallback(rollout, ledger) ? asked(FALLBACK) : null;
  const first = await asked(provider);
  if (first.ok) return entered(ledger, provider, first, moment, null);
  const dueAt = at + Math.min(ledger.setup.pace.block, rollout.plan.analysis.interval);
  if (provider === FALLBACK) return { ok: false, code: first.code, message: first.message, dueAt };
  const second = await (instead ?? asked(FALLBACK));
  if (second.ok) return entered(ledger, FALLBACK, second, moment, first.message);
  const message = `${first.message}; ${FALLBACK} cannot count either: ${second.message}`;
  return { ok: false, code: first.code, message, dueAt };
}

const needsFallback = ({ judgement }: Rollout, { source }: Ledger): boolean =>
  source.provider === FALLBACK || (judgement !== null && judgement.blindSince !== null);

function momentOf(rollout: Rollout, route: Route, at: Instant): Moment | null {
  const inForce = weightInForce(rollout);
  if (inForce === null) return null;
  const { weight, since } = inForce;
  return { at, reachedAt: since, weight, shareKnown: shareKnown(rollout.plan.analysis.trafficShare, route, weight) };
}

function shareKnown(mode: Rollout['plan']['analysis']['trafficShare'], route: Route, weight: Weight): boolean {
  if (mode === 'observe' || !route.ok || Math.abs(route.canaryWeight - weight) > 1e-9) return false;
  return mode === 'enforce' || route.carriesAllTraffic;
}

type Answer = Extract<Counted, { ok: true }>;

function entered(ledger: Ledger, provider: string, answer: Answer, moment: Moment, fallback: string | null) {
  const source = { provider, view: answer.view };
  const shareKnown = moment.shareKnown && answer.sampled !== true;
  const { ledger: next, closed } = take(
    ledger,
    { source, at: answer.at, series: answer.series },
    { ...moment, shareKnown },
  );
  const dueAt = Math.max(blockEndsAt(next, moment.at), moment.at + Math.max(SOONEST, next.setup.pace.block * SOON));
  return { ok: true, ledger: next, closed, dueAt, fallback } as const;
}

async function ask(
  ports: CountPorts,
  { plan }: Rollout,
  ledger: Ledger,
  name: string,
  moment: Moment,
  bounded: Bounded,
): Promise<Counted> {
  const provider = find(ports.metrics, name, plan.target.cluster);
  if (typeof provider === 'string') return none('unavailable', provider);
  if (provider.count === undefined) return none('wrong_type', `metrics provider ${name} cannot count requests`);
  const counting = provider.count({
    target: plan.target,
    view: viewFor(ledger, name),
    bounds: ledger.setup.settings.bounds,
    since: sinceFor(ledger, name, moment),
  });
  const guarded = counting.catch((error: unknown): Counted => {
    ports.log.error({ err: error, provider: name }, 'a metrics provider threw at the count: this is a bug');
    return none('unavailable', `metrics provider ${name} failed: ${wordsOf(error)}`);
  });
  return bounded(guarded, (within) =>
    none('timeout', `metrics provider ${name} gave no count within ${within} ms; it is slow or hangs`),
  );
}

function viewFor({ source, setup }: Ledger, name: string): string | null {
  if (source.provider === name) return source.view;
  return setup.provider === name ? setup.view : null;
}

/** From the exporter that was heard least recently: samples that come late (remote write, a busy scraper) are not lost. */
function sinceFor({ source, cursor, countedFrom, countedTo }: Ledger, name: string, { reachedAt }: Moment): Instant {
  if (countedFrom === null || countedTo === null) return reachedAt;
  if (source.provider !== name) return countedTo;
  const recent = Object.values(cursor.exporters).filter((at) => at > countedTo - LONGEST_SILENCE);
  const oldest = recent.reduce((first, at) => Math.min(first, at), countedTo);
  // One that is late from the start is heard for the first time only now, and its baseline is from before.
  return countedTo - countedFrom < LATE_FROM_THE_START ? Math.min(oldest, countedFrom) : oldest;
}

function find(metrics: MetricsGateway, name: string, cluster: string): MetricsProvider | string {
  try {
    return metrics.provider(name, cluster);
  } catch (error) {
    return `metrics provider ${name}: ${wordsOf(error)}`;
  }
}

const none = (code: Extract<Counted, { ok: false }>['code'], message: string): Counted => ({
  ok: false,
  code,
  message,
  query: '',
});

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
