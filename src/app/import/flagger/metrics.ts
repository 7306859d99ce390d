/** Metrics of a Canary -> checks. */
import type { Checks } from '../checks.ts';
import { tidy } from '../condition.ts';
import { clamped, goDuration, HOUR, MINUTE, SECOND, written } from '../durations.ts';
import type { Field, Reading } from '../field.ts';
import type { Meaning } from '../query.ts';
import { translate } from '../query.ts';
import type { FlaggerTarget } from './target.ts';

export interface MetricsOf {
  readonly target: FlaggerTarget;
  /** The names that queries may use beside those of the target. */
  readonly canary: Field;
  /** MetricTemplate by namespace and name; undefined: it was not given. */
  readonly template: (namespace: string, name: string) => Reading | undefined;
}

export function flaggerMetrics(metrics: Field, of: MetricsOf, checks: Checks): void {
  for (const metric of metrics.items()) {
    const window = windowOf(metric);
    metric.at('templateVariables').maps('filled into the query');
    switch (metric.at('name').text()) {
      case 'request-success-rate':
        successRate(metric, window, checks);
        break;
      case 'request-duration':
        duration(metric, window, checks);
        break;
      default:
        custom(metric, window, of, checks);
    }
  }
}

function windowOf(metric: Field): string {
  const field = metric.at('interval');
  const ms = goDuration(field.text());
  const window = written(clamped(ms ?? MINUTE, SECOND, HOUR));
  field.maps(`window: ${window}, which in Sluice begins no sooner than the weight was in force`);
  return window;
}

/** Lowest and highest value that passes, with the fields that said so; the older `threshold` is one of the two. */
function rangeOf(metric: Field, older: 'min' | 'max') {
  const range = metric.at('thresholdRange');
  const threshold = metric.at('threshold');
  if (range.has()) {
    threshold.ignored('with thresholdRange it has no effect there either');
    return { min: range.at('min'), max: range.at('max') };
  }
  const nowhere = range.at('none');
  return older === 'min' ? { min: threshold, max: nowhere } : { min: nowhere, max: threshold };
}

/** Percent of requests that succeeded -> the most that may fail. */
function successRate(metric: Field, window: string, checks: Checks): void {
  const { min, max } = rangeOf(metric, 'min');
  max.blocks('an upper limit of success has no meaning here: it is left out');
  const least = min.number() ?? 0;
  if (least <= 0 || least > 100) {
    metric.at('name').ignored('without a lower limit from 0 to 100 it always passes, there as well: no check');
    min.ignored('it always passes, there as well');
    return;
  }
  const most = `${tidy(100 - least)}%`;
  const added = checks.add('errors', { kind: 'error-rate', max: most, window });
  if (added === null) {
    full(metric);
    return;
  }
  metric
    .at('name')
    .differs(
      `check ${added} of kind error-rate: the same requests by the same proxies. Sluice judges from 20 requests on, and counts those that reached no pod too`,
    );
  min.maps(`${least} % success: at most ${most} may fail`);
}

function duration(metric: Field, window: string, checks: Checks): void {
  const { min, max } = rangeOf(metric, 'max');
  min.blocks('a lower limit of latency has no meaning here: it is left out');
  const most = max.number() ?? 0;
  if (most < 1) {
    metric.at('name').blocks('no latency could pass, or none is limited: no check is made');
    max.ignored('no check is made');
    return;
  }
  const limit = written(clamped(Math.trunc(most), 1, HOUR));
  const added = checks.add('latency', { kind: 'latency', quantile: 0.99, max: limit, window });
  if (added === null) {
    full(metric);
    return;
  }
  metric.at('name').maps(`check ${added} of kind latency, 99th percentile`);
  max.maps(`max: ${limit}`);
}

function custom(metric: Field, window: string, of: MetricsOf, checks: Checks): void {
  const name = metric.at('name');
  const { min, max } = rangeOf(metric, 'max');
  const query = metric.at('templateRef').has() ? ofTemplate(metric, window, of) : ofQuery(metric, window, of);
  if (query === null) {
    name.blocks('no check could be made of this metric');
    for (const limit of [min, max]) limit.ignored('no check could be made of this metric');
    return;
  }
  const limits = {
    ...(min.number() === undefined ? {} : { min: min.number() }),
    // Flagger's default: the value may not be above 0.
    ...(max.number() === undefined && min.has() ? {} : { max: max.number() ?? 0 }),
  };
  const added = checks.add(name.text() ?? 'metric', { kind: 'prometheus', query, window, ...limits });
  if (added === null) {
    full(metric);
    return;
  }
  const unlimited = !min.has() && !max.has() ? '; without a limit of its own, no more than 0, as there' : '';
  name.maps(`check ${added} of kind prometheus${unlimited}`);
  min.maps(`min: ${min.number()}`);
  max.maps(`max: ${max.number()}`);
}

const full = (metric: Field): void => metric.at('name').blocks('a plan takes 20 checks: this one is left out');

function ofQuery(metric: Field, window: string, of: MetricsOf): string | null {
  const field = metric.at('query');
  const text = field.text();
  if (text === undefined) return null;
  return queryFrom(field, text, metric, window, of);
}

function ofTemplate(metric: Field, window: string, of: MetricsOf): string | null {
  const ref = metric.at('templateRef');
  metric.at('query').ignored('with templateRef it has no effect there either');
  const namespace = ref.at('namespace').text() ?? of.target.namespace;
  const name = ref.at('name').text() ?? '';
  const template = of.template(namespace, name);
  if (template === undefined) {
    ref.blocks(`the MetricTemplate ${namespace}/${name} was not given: give its file too`);
    return null;
  }
  ref.maps(`the query of MetricTemplate ${namespace}/${name}`);
  const spec = template.root.at('spec');
  const type = spec.at('provider', 'type').text() ?? '';
  if (type !== 'prometheus') {
    spec.blocks(`Sluice asks Prometheus; found the provider ${type}. Write the question in PromQL`);
    return null;
  }
  providerNotes(spec.at('provider'));
  const query = spec.at('query');
  return queryFrom(query, query.text() ?? '', metric, window, of);
}

function providerNotes(provider: Field): void {
  provider.at('type').maps('provider: prometheus');
  provider
    .at('address')
    .differs('Sluice asks the Prometheus that its settings name for the cluster: see that it is the same');
  for (const name of ['secretRef', 'headers', 'insecureSkipVerify', 'region'])
    provider.at(name).ignored("how Prometheus is reached is in Sluice's settings");
}

function queryFrom(field: Field, text: string, metric: Field, window: string, of: MetricsOf): string | null {
  const translated = translate(text, (name) => meaningOf(name, metric, window, of));
  if (!translated.ok) {
    field.blocks(`${translated.why}: no check is made of it`);
    return null;
  }
  field.maps('query; its placeholders become those of a plan, and what has none its value of now');
  return translated.query;
}

function meaningOf(name: string, metric: Field, window: string, { target, canary }: MetricsOf): Meaning | null {
  const spec = canary.at('spec');
  const now = (literal: string | undefined): Meaning | null =>
    literal === undefined ? null : { literal, placeholder: null };
  switch (name) {
    case 'namespace':
      return { literal: target.namespace, placeholder: 'namespace' };
    case 'service':
      return { literal: target.apex, placeholder: 'service' };
    case 'target':
      return { literal: target.workload, placeholder: 'canary.deployment' };
    case 'interval':
      return { literal: window, placeholder: 'window', anywhere: true };
    case 'name':
      return now(canary.at('metadata', 'name').text());
    case 'ingress':
      return now(spec.at('ingressRef', 'name').text() ?? target.workload);
    case 'route':
      return now(spec.at('routeRef', 'name').text() ?? target.workload);
    default:
      return name.startsWith('variables.')
        ? now(metric.at('templateVariables', name.slice('variables.'.length)).text())
        : null;
  }
}
