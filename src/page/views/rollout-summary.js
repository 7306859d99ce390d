/** A rollout as Markdown, for the incident's channel or the ticket. */
import { clock, duration, utc, weight } from '../format.js';
import { capital, FACT, STATUS, sentence } from '../words.js';

/** @param {import('./rollout.js').State} state @param {string} url */
export function summaryText({ rollout, plan, facts }, url) {
  const { target, status, createdAt, createdBy, endedAt, weight: w } = rollout;
  const took = (endedAt === null ? Date.now() : Date.parse(endedAt)) - Date.parse(createdAt);
  const labels = Object.entries(rollout.labels).map(([name, value]) => `${name} ${value}`);
  return [
    `**${target.service}** (${target.namespace}, ${target.cluster}): ${STATUS[status]}${labels.length === 0 ? '' : `, ${labels.join(', ')}`}`,
    '',
    `> ${sentence(rollout, plan)}`,
    '',
    `Started ${utc(createdAt)} by ${createdBy}; ${endedAt === null ? 'running for' : 'took'} ${duration(took)}; canary weight ${weight(w.observed)}.`,
    '',
    ...facts.map(
      (fact) =>
        `- ${clock(Date.parse(fact.at))} ${capital(FACT[fact.type] ?? fact.type)}${fact.actor === 'sluice' ? '' : ` (${fact.actor})`}: ${fact.message}`,
    ),
    '',
    url,
  ].join('\n');
}
