/** The decision as it stands on the mesh object: fence for Sluice, explanation for people (`kubectl get -o yaml`). */
import type { Decision } from '../../app/ports.ts';
import type { Stamp } from '../../domain/rollout.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { isRecord } from './json.ts';

/** An own prefix: a change of it does not make istiod push configuration, as one under istio.io would. */
export const DECISION_ANNOTATION = 'sluice.dev/decision';

/** Bytes of UTF-8. All annotations of an object share 256 KiB. */
const LIMIT = 1024;

/**
 * JSON: `{rollout, epoch, generation, weight, from, reason, actor, at, rules}`; weights in percent, `at` as RFC 3339, `rules`
 * (only where there are any) the seal of the rollout's own rules. The reason gives way first where the whole would pass 1 KiB.
 */
export function encodeDecision(decision: Decision, from: number, seal: string | null = null): string {
  const { stamp, canaryWeight, actor, at } = decision;
  const text = (reason: string, by: string): string =>
    JSON.stringify({
      rollout: stamp.rollout,
      epoch: stamp.epoch,
      generation: stamp.generation,
      weight: canaryWeight,
      from: Number(from.toFixed(3)),
      reason,
      actor: by,
      at: new Date(at).toISOString(),
      ...(seal === null ? {} : { rules: seal }),
    });
  const by = shortened(actor, (a) => bytes(JSON.stringify(a)) <= 200);
  return text(
    shortened(decision.reason, (reason) => bytes(text(reason, by)) <= LIMIT),
    by,
  );
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
