/** A Canary of Flagger, with its MetricTemplates -> a plan. Pure. */
import { checks } from '../checks.ts';
import { clamped, DAY, SECOND, written } from '../durations.ts';
import type { Field, Reading } from '../field.ts';
import { applyRules, readingOf } from '../field.ts';
import type { Answers, Imported, PlanDocument, SourceDocument } from '../note.ts';
import { flaggerAffinity } from './affinity.ts';
import { alertNotes, flaggerHooks } from './hooks.ts';
import { flaggerMetrics } from './metrics.ts';
import { serviceNotes } from './service.ts';
import { flaggerSteps } from './steps.ts';
import type { FlaggerTarget } from './target.ts';
import { flaggerTarget, objectOf } from './target.ts';
import { flaggerTiming } from './timing.ts';

/** `documents`: one Canary, and any number of MetricTemplates. */
export function fromFlagger(documents: readonly SourceDocument[], answers: Answers = {}): Imported {
  const readings = documents.map(readingOf);
  const canary = readings.find(({ kind }) => kind === 'Canary');
  if (canary === undefined) throw new Error('fromFlagger wants a document of kind Canary');
  const target = flaggerTarget(canary.root, answers);
  const named = new Set<Reading>();
  const plan = planOf(canary.root, target, (namespace, name) => {
    const template = readings.find((reading) => isTemplate(reading, namespace, name, target.namespace));
    if (template !== undefined) named.add(template);
    return template;
  });
  for (const reading of readings) {
    restOfMetadata(reading.root);
    if (reading.kind === 'MetricTemplate') templateNotes(reading.root, named.has(reading));
  }
  return { plan, notes: readings.flatMap((reading) => reading.notes()), questions: target.questions };
}

const isTemplate = ({ kind, root, name: own }: Reading, namespace: string, name: string, usual: string): boolean =>
  kind === 'MetricTemplate' && own === name && (root.at('metadata', 'namespace').text() ?? usual) === namespace;

function templateNotes(root: Field, isNamed: boolean): void {
  for (const field of ['name', 'namespace']) root.at('metadata', field).ignored('metrics find the template by it');
  if (!isNamed) root.at('spec').ignored('no metric of the Canary names it');
}

function restOfMetadata(root: Field): void {
  for (const [key, field] of root.at('metadata').members())
    if (key !== 'name' && key !== 'namespace') field.ignored('of the object, not of the rollout');
  root.at('status').ignored('how the last run ended there');
}

function planOf(
  root: Field,
  target: FlaggerTarget,
  template: (namespace: string, name: string) => Reading | undefined,
): PlanDocument | null {
  const spec = root.at('spec');
  const object = objectOf(target.mesh, target.apex);
  root.differs(
    `Flagger starts by itself when the Deployment changes, and writes the weights back while it runs; Sluice starts when it is told. Before the first rollout take the Canary away and keep what it made: kubectl delete canary ${root.at('metadata', 'name').text() ?? ''} --cascade=orphan`,
  );
  serviceNotes(spec.at('service'), object, target.apex);
  const readyDeadline = controlNotes(spec);
  const analysis = analysisOf(root);
  const timing = flaggerTiming(analysis);
  const found = checks();
  flaggerMetrics(analysis.at('metrics'), { target, canary: root, template }, found);
  const steps = flaggerHooks(analysis.at('webhooks'), flaggerSteps(analysis, timing.interval, target.mesh, object));
  readyNotes(analysis);
  alertNotes(analysis);
  const sessionAffinity = flaggerAffinity(analysis.at('sessionAffinity'), target.mesh);
  if (target.target === null) return null;
  const list = found.list();
  return {
    target: target.target,
    steps,
    analysis: { ...timing.analysis, ...(list.length === 0 ? {} : { checks: list }) },
    ...(readyDeadline === null ? {} : { readyDeadline }),
    ...(sessionAffinity === null ? {} : { sessionAffinity }),
  };
}

/** v1alpha3 called it canaryAnalysis. */
function analysisOf(root: Field): Field {
  const spec = root.at('spec');
  const [now, older] = [spec.at('analysis'), spec.at('canaryAnalysis')];
  if (now.has()) {
    older.ignored('with analysis it has no effect there either');
    return now;
  }
  if (!older.has())
    root.differs('without an analysis Flagger promotes at once: the plan has one step, judged by the comparison');
  return older;
}

function controlNotes(spec: Field): string | null {
  applyRules(spec, [
    {
      fields: ['metricsServer'],
      verdict: 'differs',
      message: 'Sluice asks the Prometheus that its settings name for the cluster: see that it is the same',
    },
    { fields: ['suspend'], verdict: 'ignored', message: 'Sluice starts when it is told' },
  ]);
  const revert = spec.at('revertOnDeletion');
  if (revert.flag())
    revert.differs(
      'set it to false before the Canary is deleted: else Flagger turns the Services and the route back that Sluice moves',
    );
  else revert.ignored('what Flagger made stays when the Canary is deleted');
  const skip = spec.at('skipAnalysis');
  if (skip.flag()) skip.differs('the analysis is not skipped: Sluice promotes nothing that it has not judged');
  else skip.maps('the canary is judged');
  const seconds = spec.at('progressDeadlineSeconds');
  const found = seconds.number();
  if (found === undefined) return null;
  const deadline = written(clamped(found * SECOND, SECOND, DAY));
  seconds.maps(`readyDeadline: ${deadline}`);
  return deadline;
}

function readyNotes(analysis: Field): void {
  for (const name of ['primaryReadyThreshold', 'canaryReadyThreshold']) {
    const field = analysis.at(name);
    if (field.number() === 100) field.maps('all pods must be ready before the weight rises');
    else field.differs('all pods must be ready before the weight rises, not a part of them');
  }
}
