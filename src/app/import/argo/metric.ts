/** One metric of an AnalysisTemplate -> a check. */
import type { Millis } from '../../../domain/plan.ts';
import type { Checks } from '../checks.ts';
import { goDuration, SECOND, written } from '../durations.ts';
import type { Field } from '../field.ts';
import type { Limits } from '../limits.ts';
import { limitsOf } from '../limits.ts';
import type { Meaning } from '../query.ts';
import { translate } from '../query.ts';
import type { Arguments } from './arguments.ts';
import type { ArgoTarget } from './target.ts';

export interface Judging {
  /** Of each metric, where it has one. */
  readonly intervals: Millis[];
  readonly patiences: Millis[];
  readonly delays: Millis[];
}

interface MetricOf {
  readonly target: ArgoTarget;
  readonly args: Arguments;
  readonly checks: Checks;
  readonly judging: Judging;
}

/** Time that all of its measurements take; 0: it has one, or goes on as long as the rollout. */
export function metricCheck(metric: Field, of: MetricOf): Millis {
  const timing = timingOf(metric, of.args);
  const query = queryOf(metric.at('provider'), of);
  const conditions = conditionsOf(metric, of.args);
  if (query === null || conditions === null) {
    metric.at('name').blocks('no check could be made of this metric');
    for (const name of ['failureLimit', 'inconclusiveLimit', 'consecutiveErrorLimit', 'consecutiveSuccessLimit'])
      metric.at(name).ignored('no check could be made of this metric');
    return timing.takes;
  }
  const failureLimit = failureLimitOf(metric, of.args);
  if (conditions === 'anything') {
    metric.at('name').ignored('every number passes, there as well: no check');
    return timing.takes;
  }
  const added = of.checks.add(metric.at('name').text() ?? 'metric', {
    kind: 'prometheus',
    query,
    failureLimit,
    ...conditions,
  });
  if (added === null) metric.at('name').blocks('a plan takes 20 checks: this one is left out');
  else metric.at('name').maps(`check ${added} of kind prometheus`);
  patienceOf(metric, of, timing.interval);
  if (timing.interval !== null) of.judging.intervals.push(timing.interval);
  if (timing.delay > 0) of.judging.delays.push(timing.delay);
  return timing.takes;
}

const numberIn = (field: Field, args: Arguments): number | undefined => {
  if (field.number() !== undefined) return field.number();
  const filled = args.fill(field.text() ?? '');
  return filled !== null && /^-?\d+$/.test(filled) ? Number(filled) : undefined;
};

const durationIn = (field: Field, args: Arguments): Millis | null =>
  goDuration(args.fill(field.text() ?? '') ?? undefined);

function timingOf(metric: Field, args: Arguments) {
  const interval = durationIn(metric.at('interval'), args);
  const delay = durationIn(metric.at('initialDelay'), args) ?? 0;
  const count = numberIn(metric.at('count'), args);
  metric.at('interval').differs('analysis.interval is one for all checks: the shortest of the metrics');
  metric
    .at('initialDelay')
    .differs('analysis.settle: time after each weight that no check looks at; there it is waited for once');
  metric
    .at('count')
    .differs(
      'Sluice judges as long as the rollout goes on; a step that waits for the analysis is held for as long as it takes there',
    );
  const times = interval === null || count === undefined ? 0 : Math.max(count - 1, 0);
  return { interval, delay, takes: times === 0 ? 0 : delay + times * (interval ?? 0) };
}

function queryOf(provider: Field, { target, args }: MetricOf): string | null {
  const prometheus = provider.at('prometheus');
  if (!prometheus.has()) {
    provider.blocks('Sluice asks Prometheus: write the question in PromQL. This metric is left out');
    return null;
  }
  const [range, query] = [prometheus.at('rangeQuery'), prometheus.at('query')];
  prometheus
    .at('address')
    .differs('Sluice asks the Prometheus that its settings name for the cluster: see that it is the same');
  for (const name of ['authentication', 'headers', 'insecure', 'timeout'])
    prometheus.at(name).ignored("how Prometheus is reached is in Sluice's settings");
  if (range.has()) {
    range.blocks('Sluice asks for one number, not for a range of them');
    query.ignored('a query for a range');
    return null;
  }
  const translated = translate(query.text() ?? '', (name) => meaningOf(name, target, args));
  if (translated.ok) {
    query.maps('query, with the arguments filled in; it is asked again for as far back as it says itself');
    return translated.query;
  }
  query.blocks(`${translated.why}: no check is made of it`);
  return null;
}

function meaningOf(name: string, { services, mesh }: ArgoTarget, args: Arguments): Meaning | null {
  const literal = name.startsWith('args.') ? args.value(name.slice('args.'.length)) : null;
  if (literal === null) return null;
  // Two versions change places with every rollout: a name of one of them must not stand still.
  const field = mesh === 'istio' ? 'host' : 'service';
  const role = literal === services.canary ? 'canary' : literal === services.stable ? 'stable' : null;
  return { literal, placeholder: role === null ? null : `${role}.${field}` };
}

/** null: nothing that a check can say. */
function conditionsOf(metric: Field, args: Arguments): Limits | 'anything' | null {
  const [success, failure] = [metric.at('successCondition'), metric.at('failureCondition')];
  const texts = [success, failure].map((field) => (field.has() ? args.fill(field.text() ?? '') : undefined));
  if (texts.includes(null)) {
    for (const field of [success, failure]) field.blocks('an argument in it has no value here');
    return null;
  }
  const [passes, fails] = texts.map((text) => (text === null || text === '' ? undefined : text));
  const read = limitsOf(passes, fails);
  if (!read.ok) {
    for (const field of [success, failure]) field.blocks(`${read.why}: no check is made of it`);
    return null;
  }
  const { limits, differences } = read;
  if (limits === null) {
    for (const field of [success, failure]) field.ignored('every number passes');
    return 'anything';
  }
  const told = Object.entries(limits).map(([side, limit]) => `${side}: ${limit}`);
  for (const field of [success, failure])
    if (differences.length === 0) field.maps(told.join(', '));
    else field.differs(`${told.join(', ')}; ${differences.join('; ')}`);
  return limits;
}

function failureLimitOf(metric: Field, args: Arguments): number {
  const field = metric.at('failureLimit');
  const found = numberIn(field, args) ?? 0;
  const limit = Math.min(Math.max(found, 0) + 1, 100);
  if (found < 0) field.blocks('without a limit nothing that it measures would go back: here the first failure does');
  else
    field.differs(
      `failureLimit: ${limit} consecutive failures roll back; there ${found} of all measurements may fail, and one more aborts`,
    );
  metric
    .at('consecutiveSuccessLimit')
    .unsupported('successes do not end the judging here: it goes on as long as the rollout');
  return limit;
}

/** Measurements that end in an error abort there after the fifth in a row. */
const USUAL_ERRORS = 4;

function patienceOf(metric: Field, { args, judging }: MetricOf, interval: Millis | null): void {
  const field = metric.at('consecutiveErrorLimit');
  const errors = numberIn(field, args) ?? USUAL_ERRORS;
  const patience = (Math.max(errors, 0) + 1) * (interval ?? 10 * SECOND);
  judging.patiences.push(patience);
  const words = `noData: with nothing to judge for so long (${written(patience)}, and 5m at least) it rolls back`;
  field.differs(words);
  metric.at('inconclusiveLimit').differs('nothing is inconclusive but what has no number, and there noData decides');
}
