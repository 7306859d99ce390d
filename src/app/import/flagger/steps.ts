/** The way of the weight, of testers and of copies, as Flagger goes it. */
import type { Millis } from '../../../domain/plan.ts';
import { BY_HAND } from '../by-hand.ts';
import { written } from '../durations.ts';
import type { Field } from '../field.ts';
import { headerMatch } from '../headers.ts';
import type { MeshName, PlanDocument } from '../note.ts';
import { MOST_STEPS, thinned, WHOLE } from '../weights.ts';

type Step = PlanDocument;

/** Between nobody and everybody there is one look at least. */
const HALF = 50;

export function flaggerSteps(
  analysis: Field,
  interval: Millis,
  mesh: MeshName | null,
  object: string,
): readonly Step[] {
  const iterations = analysis.at('iterations').number() ?? 0;
  const testers = analysis.at('match').items().length > 0;
  analysis
    .at('stepWeightPromotion')
    .ignored('there is no way back to a primary: the canary keeps the traffic, nothing is copied');
  if (iterations > 0) unusedWeights(analysis);
  if (iterations > 0 && testers) return experiment(analysis, interval * iterations, mesh, object);
  analysis
    .at('match')
    .ignored('Flagger routes by headers only together with iterations (A/B test): it has no effect there either');
  if (iterations > 0) return blueGreen(analysis, interval * iterations, mesh);
  analysis.at('iterations').ignored('0: a rollout by weights');
  return [...mirrored(analysis, interval, mesh), ...rising(analysis, interval)];
}

function unusedWeights(analysis: Field): void {
  for (const name of ['maxWeight', 'stepWeight', 'stepWeights'])
    analysis.at(name).ignored('with iterations Flagger moves no weights step by step: it has no effect there either');
}

// ── by weights ──────────────────────────────────────────────────────────────────────────────────────────────────────

function rising(analysis: Field, hold: Millis): readonly Step[] {
  const weights = weightsOf(analysis);
  const shown = thinned(weights);
  if (shown.length < weights.length)
    analysis
      .at('stepWeight')
      .differs(`a plan has at most ${MOST_STEPS} steps: of ${weights.length} weights every few remain`);
  if (shown.length === 0) {
    analysis.differs(`one step of ${HALF} %: a plan has a weight before 100 %, at which the canary is judged`);
    return [{ weight: HALF, hold: written(hold) }];
  }
  return shown.map((weight) => ({ weight, hold: written(hold) }));
}

function weightsOf(analysis: Field): readonly number[] {
  const [each, list, most] = [analysis.at('stepWeight'), analysis.at('stepWeights'), analysis.at('maxWeight')];
  const step = each.number() ?? 0;
  if (step <= 0 && list.items().length > 0) {
    each.ignored('0: stepWeights decides');
    most.ignored('with stepWeights the last of them is the highest: it has no effect there either');
    return listed(list);
  }
  list.ignored('with stepWeight it has no effect there either');
  const top = most.number() ?? WHOLE;
  const weights: number[] = [];
  for (let weight = 0; step > 0 && weight < Math.min(top, WHOLE); ) {
    weight = Math.min(weight + step, WHOLE);
    if (weight < WHOLE) weights.push(weight);
  }
  const told = weights.length === 0 ? 'no step below 100 %' : `steps of ${weights.join(', ')} %`;
  each.maps(`${told}, then the promotion to 100 %`);
  most.maps(
    top >= WHOLE
      ? 'the promotion to 100 %: it is not a step of the plan'
      : `the highest step, ${weights.at(-1) ?? 0} %`,
  );
  return weights;
}

function listed(list: Field): readonly number[] {
  const weights: number[] = [];
  for (const item of list.items()) {
    const weight = item.number() ?? 0;
    if (weight >= WHOLE) item.differs('the promotion to 100 %: it is not a step of the plan');
    else if (weight <= (weights.at(-1) ?? 0)) item.blocks('the weights of a plan rise: this step is left out');
    else {
      weights.push(weight);
      item.maps(`a step of ${weight} %`);
    }
  }
  return weights;
}

// ── copies ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function mirrored(analysis: Field, hold: Millis, mesh: MeshName | null): readonly Step[] {
  const [mirror, part] = [analysis.at('mirror'), analysis.at('mirrorWeight')];
  if (!mirror.flag()) {
    mirror.ignored('no copies');
    part.ignored('without mirror it has no effect there either');
    return [];
  }
  if (mesh !== 'istio') {
    mirror.blocks(
      'mirrors are taken over for a VirtualService only: the step is left out. Where Istio carries the HTTPRoute out, add it by hand',
    );
    part.ignored('the step is left out');
    return [];
  }
  const written_ = part.number() ?? 0;
  const percent = written_ > 0 ? written_ : WHOLE;
  mirror.maps(`a mirror step of ${percent} % before the first weight, held for ${written(hold)}, ${BY_HAND.mirror}`);
  part.maps(`mirror.percent: ${percent}%`);
  return [{ mirror: { percent: `${percent}%` }, hold: written(hold) }];
}

// ── iterations ──────────────────────────────────────────────────────────────────────────────────────────────────────

function blueGreen(analysis: Field, time: Millis, mesh: MeshName | null): readonly Step[] {
  analysis.at('iterations').blocks(BY_HAND.blueGreen);
  return [...mirrored(analysis, time, mesh), { weight: HALF, hold: written(time) }];
}

function experiment(analysis: Field, time: Millis, mesh: MeshName | null, object: string): readonly Step[] {
  for (const name of ['mirror', 'mirrorWeight']) analysis.at(name).ignored('not used in an A/B test of Flagger either');
  analysis
    .at('iterations')
    .differs(
      `testers are routed for ${written(time)}, as there; Sluice judges no requests of testers alone, so a step of ${HALF} % follows for as long before the promotion`,
    );
  const routes = testerRoutes(analysis.at('match'), mesh, object);
  return [
    ...routes.map((headerRoute, at) => ({ headerRoute, hold: at === routes.length - 1 ? written(time) : '0s' })),
    { weight: HALF, hold: written(time) },
  ];
}

function testerRoutes(matches: Field, mesh: MeshName | null, object: string): readonly PlanDocument[] {
  if (mesh === 'linkerd-smi') {
    matches.blocks('a TrafficSplit has no header routes: the step is left out');
    return [];
  }
  const routes: PlanDocument[] = [];
  for (const match of matches.items()) {
    const headers = match.at('headers').members();
    const [only, ...more] = headers;
    const others = match.members().filter(([name]) => name !== 'headers');
    if (only === undefined || more.length > 0 || others.length > 0) {
      match.blocks(
        'a tester is known by one header or cookie in a plan: this match has several conditions, and is left out',
      );
      continue;
    }
    const [name, field] = only;
    const found = headerMatch(name, field);
    if (!found.ok) match.blocks(`${found.why}: it is left out`);
    else {
      routes.push(found.route);
      field.differs(
        `a headerRoute step. In the ${object} Flagger made a rule of its own for these requests: have one rule with both versions instead, since Sluice adds such rules by itself`,
      );
    }
  }
  return routes;
}
