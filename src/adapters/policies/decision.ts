/** The decision as it stands on a policy: fence for Sluice, explanation for people. The annotation is that of routes. */
import type { PolicyDecision } from '../../app/migration/ports.ts';
import type { MigrationStamp } from '../../domain/migration/migration.ts';
import type { KubeObject } from '../kubernetes/kube.ts';
import { DECISION_ANNOTATION } from '../routes/decision.ts';
import { isRecord } from '../routes/json.ts';

/** `{migration, epoch, generation, mode, from, reason, actor, at}`; at most 1 KiB: names are bounded where they come in. */
export const encodeDecision = ({ stamp, mode, reason, actor, at }: PolicyDecision, from: string | null): string =>
  JSON.stringify({
    ...stamp,
    mode,
    from,
    reason: reason.slice(0, 200),
    actor: actor.slice(0, 200).toWellFormed(),
    at: new Date(at).toISOString(),
  });

/** null: none, or one that cannot be read. */
export function stampOn({ metadata }: KubeObject): MigrationStamp | null {
  const text = metadata.annotations?.[DECISION_ANNOTATION];
  if (typeof text !== 'string' || text.length > 4096) return null;
  try {
    const parsed: unknown = JSON.parse(text);
    if (!isRecord(parsed)) return null;
    const { migration, epoch, generation } = parsed;
    const good = typeof migration === 'string' && Number.isSafeInteger(epoch) && Number.isSafeInteger(generation);
    return good ? { migration, epoch: epoch as number, generation: generation as number } : null;
  } catch {
    return null;
  }
}
