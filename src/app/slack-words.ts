/** How a rollout is told in Slack. Text in, text out; everything that came from outside is escaped. */
import { stepWords } from '../domain/change.ts';
import type { Fleet } from '../domain/fleet/fleet.ts';
import { fleetStatus, waveWords } from '../domain/fleet/fleet.ts';
import { plain } from '../domain/format.ts';
import type { Migration } from '../domain/migration/migration.ts';
import { statusOf as statusWords } from '../domain/migration/migration.ts';
import { weightAt } from '../domain/plan.ts';
import type { Rollout } from '../domain/rollout.ts';
import { statusOf, stepOf } from '../domain/rollout.ts';

/**
 * The three characters that Slack reads as markup: without them no text can become a mention (`<!channel>`), a link or
 * an entity.
 */
export const escapeSlack = (text: string): string => text.replace(/[&<>]/g, entity);

const entity = (character: string): string => ENTITIES[character] ?? character;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

/**
 * Escaped, and at most `length` long as escaped: Slack counts it so, refuses a block that is too long, and would then
 * refuse it at every repetition. Never cut within an entity or a character.
 */
export function told(text: string, length = 600): string {
  const escaped = escapeSlack(text);
  if (escaped.length <= length) return escaped;
  let cut = '';
  for (const character of text) {
    const next = cut + entity(character);
    if (next.length > length - 1) break;
    cut = next;
  }
  return `${cut}…`;
}

/** "production/web on cluster default": with the cluster, or two clusters' messages look alike. */
export const targetWords = ({ plan: { target } }: Rollout): string =>
  told(`${target.namespace}/${target.service} on cluster ${target.cluster}`, 300);

/** "progressing at step 2 of 3 (25 %)", "rolled back". */
export function standing(rollout: Rollout): string {
  const { phase } = rollout;
  const status = statusOf(rollout).replace('_', ' ');
  switch (phase.name) {
    case 'pending':
      if (phase.behind !== null) return `pending: waits behind rollout ${phase.behind}`;
      // Gates are wanted once the canary is ready.
      return Object.keys(rollout.gates ?? {}).length > 0
        ? 'pending: waits for a gate'
        : 'pending: waits for the canary to be ready';
    case 'progressing':
      return `${status} at ${stepWords(rollout, phase.step)}`;
    case 'paused':
      return `${phase.cause === 'approval' ? 'waiting for approval' : status} at ${stepWords(rollout, phase.step)}`;
    case 'rolling_back':
    case 'ended':
      return status;
    default:
      return phase satisfies never;
  }
}

/** The sentence that says why it stands where it stands; null: nothing to say. Not escaped. */
export function reasonOf({ phase }: Rollout): string | null {
  if (phase.name === 'paused') return phase.message;
  if (phase.name === 'rolling_back' || phase.name === 'ended') return phase.outcome.message;
  return null;
}

/** One line and, where there is one, the reason. */
export function summary(rollout: Rollout): string {
  const reason = reasonOf(rollout);
  const head = `*${targetWords(rollout)}*: ${standing(rollout)} (\`${rollout.id}\`)`;
  return reason === null ? head : `${head}\n${told(reason)}`;
}

/** "has moved on to 50 % (step 3 of 3)": what to tell somebody who decided about something that is over. */
export function movedOn(rollout: Rollout): string {
  const step = stepOf(rollout);
  const { phase } = rollout;
  if (phase.name === 'ended') return `has ended: ${told(phase.outcome.message)}`;
  if (phase.name === 'rolling_back') return `is rolling back: ${told(phase.outcome.message)}`;
  if (step === null) return `is ${standing(rollout)}`;
  return `has moved on to ${plain(weightAt(rollout.plan, step))} %: it is ${standing(rollout)}`;
}

/** "paused at wave 1 of 2 (first)". */
export const fleetStanding = (fleet: Fleet): string =>
  `${fleetStatus(fleet).replace('_', ' ')} at ${waveWords(fleet.spec, fleet.phase.wave)}`;

export const migrationStanding = (migration: Migration): string => statusWords(migration).replace('_', ' ');
