/** The decision as it stands on the mesh object: fence for Sluice, explanation for people (`kubectl get -o yaml`). */
import type { Decision, Ending } from '../../app/ports.ts';
import type { Stamp } from '../../domain/rollout.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { isRecord } from './json.ts';

/** An own prefix: a change of it does not make istiod push configuration, as one under istio.io would. */
export const DECISION_ANNOTATION = 'sluice.dev/decision';

/** Bytes of UTF-8. All annotations of an object share 256 KiB. */
const LIMIT = 1024;

/** Said beside the decision, which stays as it is: it is the fence. */
export const OUTCOME_ANNOTATION = 'sluice.dev/outcome';

/**
 * JSON: `{rollout, epoch, generation, fact, step, from, to, reason, actor, at, link, rules}`, as the fact of that number says
 * it: step from 0, weights in percent, `at` as RFC 3339; `rules` is the seal of the rollout's own rules. What there is none
 * of is left out. The reason gives way first where the whole would pass 1 KiB.
 */
export function encodeDecision(decision: Decision, seal: string | null = null): string {
  const { stamp, canaryWeight, fact, step, from, reason, actor, at, link } = decision;
  const rules = seal === null ? {} : { rules: seal };
  return fitted(reason, actor, link, (words) => ({
    rollout: stamp.rollout,
    epoch: stamp.epoch,
    generation: stamp.generation,
    ...(fact === null ? {} : { fact }),
    ...(step === null ? {} : { step }),
    from: from === null ? null : Number(from.toFixed(3)),
    to: canaryWeight,
    reason: words.text,
    actor: words.actor,
    at: new Date(at).toISOString(),
    ...words.link,
    ...rules,
  }));
}

/** JSON: `{rollout, status, step, weight, outcome, actor, at, link}`; the outcome gives way first. */
export function encodeEnding({ stamp, status, step, weight, outcome, actor, at, link }: Ending): string {
  return fitted(outcome, actor, link, (words) => ({
    rollout: stamp.rollout,
    status,
    step,
    weight,
    outcome: words.text,
    actor: words.actor,
    at: new Date(at).toISOString(),
    ...words.link,
  }));
}

interface Words {
  readonly text: string;
  readonly actor: string;
  readonly link: { readonly link?: string };
}

function fitted(text: string, actor: string, link: string | null, written: (words: Words) => object): string {
  const by = shortened(actor, (name) => bytes(JSON.stringify(name)) <= 200);
  // Half an address leads nowhere.
  const page = link === null || bytes(link) > 300 ? {} : { link };
  const whole = (words: string): string => JSON.stringify(written({ text: words, actor: by, link: page }));
  return whole(shortened(text, (words) => bytes(whole(words)) <= LIMIT));
}

const bytes = (text: string): number => Buffer.byteLength(text);

function shortened(text: string, fits: (text: string) => boolean): string {
  if (fits(text)) return text;
  // Whole characters only: half a surrogate pair is not UTF-8.
  const characters = [...text];
  let low = 0;
  let high = characters.length;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(`${characters.slice(0, middle).join('')}…`)) low = middle;
    else high = middle - 1;
  }
  return `${characters.slice(0, low).join('')}…`;
}

/** The stamp on the object; null: none, or one that cannot be read (anybody may write an annotation). */
export function stampOn(object: KubeObject): Stamp | null {
  const parsed = decisionOn(object);
  if (parsed === null) return null;
  const { rollout, epoch, generation } = parsed;
  if (typeof rollout !== 'string' || rollout === '' || !isCount(epoch) || !isCount(generation)) return null;
  return { rollout, epoch, generation };
}

/** The seal of the rollout's own rules as they were written; null: none was. */
export function sealOn(object: KubeObject): string | null {
  const rules = decisionOn(object)?.['rules'];
  return typeof rules === 'string' ? rules : null;
}

function decisionOn(object: KubeObject): Readonly<Record<string, unknown>> | null {
  const text = object.metadata.annotations?.[DECISION_ANNOTATION];
  if (typeof text !== 'string' || text.length > 4 * LIMIT) return null;
  const parsed = parse(text);
  return isRecord(parsed) ? parsed : null;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
