/** A Rollout of Argo, with its AnalysisTemplates -> a plan. Pure. */

import { BY_HAND } from '../by-hand.ts';
import { checks } from '../checks.ts';
import { clamped, DAY, SECOND, written } from '../durations.ts';
import type { Field } from '../field.ts';
import { applyRules, readingOf } from '../field.ts';
import type { Answers, Imported, PlanDocument, SourceDocument } from '../note.ts';
import { WHOLE } from '../weights.ts';
import type { Analyses } from './analysis.ts';
import { analyses, isTemplate } from './analysis.ts';
import { argoSteps } from './steps.ts';
import type { ArgoTarget } from './target.ts';
import { argoTarget } from './target.ts';

/**
 * `documents`: one Rollout, any number of AnalysisTemplates and ClusterAnalysisTemplates, and objects beside them (a
 * VirtualService, a DestinationRule), from which hosts are read.
 */
export function fromArgo(documents: readonly SourceDocument[], answers: Answers = {}): Imported {
  const readings = documents.map(readingOf);
  const rollout = readings.find(({ kind }) => kind === 'Rollout');
  if (rollout === undefined) throw new Error('fromArgo wants a document of kind Rollout');
  const { root } = rollout;
  const others = readings.filter((reading) => reading !== rollout && !isTemplate(reading));
  const target = argoTarget(root, others, answers);
  const found = checks();
  const judged = analyses(root, readings, target, found);
  const plan = planOf(root, target, judged);
  for (const reading of readings.filter(isTemplate)) {
    reading.root.at('metadata').ignored('analyses find the template by its name');
    if (!judged.isNamed(reading)) reading.root.at('spec').ignored('no analysis of the Rollout names it');
  }
  const told = readings.filter((reading) => reading === rollout || isTemplate(reading));
  return { plan, notes: told.flatMap((reading) => reading.notes()), questions: target.questions };
}

function planOf(root: Field, target: ArgoTarget, judged: Analyses): PlanDocument | null {
  const spec = root.at('spec');
  root.differs(
    'Argo Rollouts starts by itself when the pods change, and runs them; Sluice moves traffic between two Deployments when it is told. Before the first rollout make the two Deployments, and take the Rollout away',
  );
  podNotes(root);
  const image = imageNote(spec);
  const control = controlNotes(spec);
  const strategy = spec.at('strategy');
  strategy.at('blueGreen').blocks(`${BY_HAND.blueGreen}; and no mesh object is named that could be moved`);
  const canary = strategy.at('canary');
  canaryNotes(canary);
  const background = canary.at('analysis');
  judged.take(background);
  background.at('startingStep').differs('the checks look from the first step on');
  const total = totalOf(canary.at('trafficRouting', 'maxTrafficWeight'));
  const steps = argoSteps(canary.at('steps'), { mesh: target.mesh, total, analyse: judged.take });
  routingNotes(root, target);
  if (target.target === null) return null;
  const analysis = judged.plan();
  return {
    target: target.target,
    steps,
    ...(analysis === null ? {} : { analysis }),
    ...control,
    ...(image === null ? {} : { labels: { image } }),
  };
}

function totalOf(field: Field): number {
  const total = field.number();
  if (total === undefined || total <= 0) return WHOLE;
  if (total === WHOLE) field.maps('weights are in percent');
  else field.differs(`weights of ${total} become whole percent, rounded`);
  return total;
}

/** Why there is no plan. */
function routingNotes(root: Field, { target }: ArgoTarget): void {
  if (target !== null) return;
  const canary = root.at('spec', 'strategy', 'canary');
  const routing = canary.at('trafficRouting');
  const words =
    'no mesh object is named that Sluice could move (an Istio VirtualService, a TrafficSplit, an HTTPRoute) with the two Services: without one Argo divides traffic by the number of pods';
  if (routing.has()) routing.blocks(words);
  else if (canary.has()) canary.blocks(words);
  else if (!root.at('spec', 'strategy', 'blueGreen').has()) root.blocks(words);
}

function podNotes(root: Field): void {
  for (const [key, field] of root.at('metadata').members())
    if (key !== 'name' && key !== 'namespace') field.ignored('of the object, not of the rollout');
  root.at('status').ignored('how the last run ended there');
  applyRules(root.at('spec'), [
    {
      fields: ['replicas', 'selector', 'template', 'minReadySeconds', 'revisionHistoryLimit', 'restartAt'],
      verdict: 'ignored',
      message: 'belongs into the two Deployments that take the place of the Rollout',
    },
    {
      fields: ['workloadRef'],
      verdict: 'differs',
      message:
        'the pods are run by the Rollout, from the template of that workload: make two Deployments of it, one per version',
    },
  ]);
}

/** What is released, for people. */
function imageNote(spec: Field): string | null {
  const [container, ...more] = spec.at('template', 'spec', 'containers').items();
  const image = container?.at('image').text();
  if (container === undefined || image === undefined || more.length > 0 || image.length > 253) return null;
  container.at('image').differs(`labels.image: ${image}, for people; the canary's Deployment says what runs`);
  return image;
}

function controlNotes(spec: Field): PlanDocument {
  const window = spec.at('rollbackWindow');
  window.differs('rollbackWindow of a plan is a time (24h), within which a promotion can be taken back in one write');
  spec.at('analysis').ignored('Sluice keeps the history of rollouts by its own settings');
  spec.at('paused').ignored('Sluice starts when it is told; a live rollout is paused by `sluice pause`');
  const abort = spec.at('progressDeadlineAbort');
  if (abort.flag()) abort.maps('a canary that does not become ready goes back');
  else abort.differs('a canary that does not become ready goes back');
  const seconds = spec.at('progressDeadlineSeconds');
  const found = seconds.number();
  if (found === undefined) return {};
  const deadline = written(clamped(found * SECOND, SECOND, DAY));
  seconds.differs(
    `readyDeadline: ${deadline}; the rollout goes back then, where Argo only says so unless told to abort`,
  );
  return { readyDeadline: deadline };
}

function canaryNotes(canary: Field): void {
  applyRules(canary, [
    {
      fields: [
        'maxSurge',
        'maxUnavailable',
        'antiAffinity',
        'canaryMetadata',
        'stableMetadata',
        'minPodsPerReplicaSet',
      ],
      verdict: 'ignored',
      message: 'of the pods: it belongs into the two Deployments',
    },
    {
      fields: ['scaleDownDelaySeconds', 'scaleDownDelayRevisionLimit', 'abortScaleDownDelaySeconds'],
      verdict: 'ignored',
      message: 'Sluice scales nothing down: the old version runs until you take it away, and can take the traffic back',
    },
    {
      fields: ['dynamicStableScale'],
      verdict: 'ignored',
      message: 'the stable version keeps all its pods, so that the traffic can go back at once',
    },
    {
      fields: ['replicaProgressThreshold'],
      verdict: 'differs',
      message: 'all pods must be ready before the weight rises, not a part of them',
    },
  ]);
}
