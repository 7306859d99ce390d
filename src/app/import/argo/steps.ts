/** The steps of a Rollout -> those of a plan: what waits after a weight becomes its hold and its approval. */
import type { Millis } from '../../../domain/plan.ts';
import { BY_HAND } from '../by-hand.ts';
import { DAY, goDuration, SECOND, written } from '../durations.ts';
import type { Field } from '../field.ts';
import { headerMatch } from '../headers.ts';
import type { MeshName, PlanDocument } from '../note.ts';
import { WHOLE } from '../weights.ts';

export interface StepsOf {
  readonly mesh: MeshName | null;
  /** Weights are parts of this; 100 unless the Rollout says otherwise. */
  readonly total: number;
  /** Checks of an analysis step; the time that it takes. */
  readonly analyse: (analysis: Field) => Millis;
}

interface Draft {
  readonly action: PlanDocument;
  hold: Millis;
  approval: boolean;
}

/** What has been read so far. */
interface Way {
  readonly drafts: Draft[];
  weight: number;
  /** 100 % was written already. */
  whole: boolean;
}

const MOST_STEPS = 50;
const LONGEST_HOLD = 30 * DAY;
/** Between nobody and everybody there is one look at least. */
const HALF = 50;

export function argoSteps(steps: Field, of: StepsOf): readonly PlanDocument[] {
  const way: Way = { drafts: [], weight: 0, whole: false };
  for (const step of steps.items()) {
    setWeight(step.at('setWeight'), way, of.total);
    pause(step.at('pause'), way);
    analysis(step.at('analysis'), way, of);
    headerRoute(step.at('setHeaderRoute'), way, of.mesh);
    mirrorRoute(step.at('setMirrorRoute'), way, of.mesh);
    canaryScale(step.at('setCanaryScale'), way);
    step
      .at('experiment')
      .blocks('Sluice starts no further versions beside the two: judge by a headerRoute or a low weight');
    step.at('plugin').blocks('a plugin of Argo Rollouts, which Sluice cannot run');
  }
  if (way.weight === 0) {
    steps.differs(`one step of ${HALF} %: a plan has a weight before 100 %, at which the canary is judged`);
    way.drafts.push({ action: { weight: HALF }, hold: 60 * SECOND, approval: false });
  }
  if (way.drafts.length > MOST_STEPS) steps.blocks(`a plan has at most ${MOST_STEPS} steps: those after are left out`);
  return way.drafts.slice(0, MOST_STEPS).map(({ action, hold, approval }) => ({
    ...action,
    hold: written(Math.min(hold, LONGEST_HOLD)),
    ...(approval ? { approval: 'required' } : {}),
  }));
}

function setWeight(field: Field, way: Way, total: number): void {
  const found = field.number();
  if (found === undefined) return;
  const weight = Math.round((found / total) * WHOLE);
  if (weight >= WHOLE) {
    way.whole = true;
    field.maps('the promotion to 100 %: it is not a step of the plan');
  } else if (weight <= 0 && way.weight === 0) field.maps('before the first step the canary has no traffic');
  else if (weight === way.weight) field.maps(`the step of ${weight} % goes on`);
  else if (weight < way.weight || way.whole)
    field.blocks(
      `the weights of a plan rise; found ${weight} % after ${way.whole ? WHOLE : way.weight} %: it is left out`,
    );
  else {
    way.weight = weight;
    way.drafts.push({ action: { weight }, hold: 0, approval: false });
    field.maps(`a step of ${weight} %`);
  }
}

/** Seconds as a number or text, or a duration; null: until a person goes on. */
function pauseOf(field: Field): Millis | null {
  const duration = field.at('duration');
  const seconds = duration.number();
  return seconds === undefined ? goDuration(duration.text()) : seconds * SECOND;
}

function pause(field: Field, way: Way): void {
  if (!field.has()) return;
  const time = pauseOf(field);
  const last = way.drafts.at(-1);
  if (way.whole) afterAll(field, time, last);
  else if (last === undefined) {
    if (time === null)
      field.blocks('before the first step nobody can be asked: let the pipeline wait before it starts');
    else field.ignored('before the first step there is nothing to hold; the weight waits for the pods of the canary');
  } else if (time === null) {
    last.approval = true;
    field.maps('approval: required');
  } else {
    if (last.approval) field.differs(`hold: ${written(time)} more; a plan asks the person after the hold, not before`);
    else field.maps(`hold: ${written(time)}`);
    last.hold += time;
  }
}

function afterAll(field: Field, time: Millis | null, last: Draft | undefined): void {
  if (time !== null || last === undefined) {
    field.differs('at 100 % a rollout has ended; it can be taken back within rollbackWindow (24h)');
    return;
  }
  last.approval = true;
  field.differs('approval: required before 100 %, not at it: a rollout ends there');
}

function analysis(field: Field, way: Way, { analyse }: StepsOf): void {
  if (!field.has()) return;
  const time = analyse(field);
  const last = way.drafts.at(-1);
  field.at('templates').differs('its checks look at every step of the plan, not at this one alone');
  if (last === undefined || way.whole) return;
  last.hold += time;
}

/** Argo sizes the canary by pods, by a part of all, or by the weight; a plan by the same three. */
function canaryScale(field: Field, way: Way): void {
  if (!field.has()) return;
  const [replicas, weight] = [field.at('replicas').number(), field.at('weight').number()];
  const scale = (to: PlanDocument, words: string): void => {
    way.drafts.push({ action: { scale: to }, hold: 0, approval: false });
    field.differs(`a scale step, ${words}: Sluice adds pods for the canary and takes none away on the way up`);
  };
  if (replicas !== undefined && replicas >= 1) scale({ replicas }, `${replicas} pods`);
  else if (weight !== undefined && weight >= 1)
    scale({ percent: weight }, `${weight} % of what the stable version has, where Argo takes it of spec.replicas`);
  else if (field.at('matchTrafficWeight').flag()) scale({ match: 'nextWeight' }, 'as many as the next weight asks for');
  else field.ignored('the canary keeps the pods that it has: Sluice takes none away');
}

function headerRoute(field: Field, way: Way, mesh: MeshName | null): void {
  if (!field.has()) return;
  const matches = field.at('match').items();
  field.at('name').ignored('Sluice names its rules by the rollout');
  if (matches.length === 0)
    field.differs('testers are routed to the canary until the promotion: there is no step that ends it');
  else if (mesh === 'linkerd-smi') field.unsupported('a TrafficSplit has no header routes: the step is left out');
  else if (way.weight > 0)
    field.unsupported('in a plan testers come before the first weight: the step is left out. Write it there by hand');
  else for (const match of matches) tester(match, way);
}

function tester(match: Field, way: Way): void {
  const found = headerMatch(match.at('headerName').text() ?? '', match.at('headerValue'));
  if (!found.ok) {
    match.unsupported(`${found.why}: it is left out`);
    return;
  }
  match.maps('a headerRoute step, in force until the promotion');
  way.drafts.push({ action: { headerRoute: found.route }, hold: 0, approval: false });
}

function mirrorRoute(field: Field, way: Way, mesh: MeshName | null): void {
  if (!field.has()) return;
  const matches = field.at('match').items();
  if (matches.length === 0) field.maps('a mirror step ends with the next step');
  else if (mesh !== 'istio')
    field.blocks(
      'mirrors are taken over for a VirtualService only: the step is left out. Where Istio carries the HTTPRoute out, add it by hand',
    );
  else if (way.weight > 0) field.blocks('in a plan a mirror comes before the first weight: the step is left out');
  else if (!matches.some(isEverything))
    field.blocks(
      'a plan mirrors the rule’s requests of safe methods, or all of them, and none by what they match: the step is left out. Where that is meant, add it by hand',
    );
  else {
    const percent = `${field.at('percentage').number() ?? WHOLE}%`;
    field.maps(`a mirror step of ${percent}, ${BY_HAND.mirror}`);
    way.drafts.push({ action: { mirror: { percent } }, hold: 0, approval: false });
  }
}

const isEverything = (match: Field): boolean =>
  match.members().every(([name]) => name === 'path') &&
  (match.at('path', 'prefix').text() === '/' || match.at('path', 'regex').text() === '.*');
