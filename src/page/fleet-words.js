/** A fleet rollout in words, and what may be decided about it. */
import { mayAt } from './may.js';

/** @typedef {import('./types.d.ts').FleetSummary} FleetSummary */
/** @typedef {import('./types.d.ts').Session} Session */
/** @typedef {import('./deciding.js').Decision} Decision */

export const FLEET_LIVE = ['running', 'baking', 'paused', 'rolling_back'];
export const FLEET_ENDED = ['succeeded', 'rolled_back', 'aborted', 'failed'];

/** @param {Pick<FleetSummary, 'status'>} fleet */
export const fleetIsLive = ({ status }) => FLEET_LIVE.includes(status);

/** "wave 2 of 3 (rest)" @param {FleetSummary} fleet @param {number} [at] */
export const waveWords = ({ wave, waves }, at = wave) => `wave ${at + 1} of ${waves.length} (${waves[at]?.name ?? ''})`;

/** @param {FleetSummary} fleet */
export function fleetSentence(fleet) {
  const { message, status, wave, waves } = fleet;
  if (message !== null) return message;
  const clusters = waves[wave]?.clusters ?? [];
  if (status === 'baking')
    return `Wave ${wave + 1} of ${waves.length} is promoted, and its pods are watched before the next one begins.`;
  const promoted = clusters.filter((cluster) => cluster.status === 'succeeded').length;
  return `On its way through ${waveWords(fleet)}: promoted in ${promoted} of ${clusters.length} clusters.`;
}

/** @param {FleetSummary} fleet @param {Session} session @returns {Decision[]} */
export function fleetDecisions(fleet, session) {
  const may = mayAt(session, fleet.target);
  const { status, awaiting, wave, waves } = fleet;
  const about = waveWords(fleet);
  const seen = { expectedWave: wave, expectedAwaiting: awaiting };
  const next = wave + 1 < waves.length ? `${waveWords(fleet, wave + 1)} begins` : 'the fleet rollout ends as promoted';
  /** @type {[Decision, boolean][]} */
  const all = [
    [
      {
        name: 'promote',
        label: awaiting === 'failed' ? 'Go on without it' : awaiting === 'approval' ? 'Approve' : 'End the bake',
        look: 'primary',
        about,
        words:
          awaiting === 'failed'
            ? `${fleet.message ?? ''} Go on in spite of it: ${next}, and what failed stays as it is.`
            : `Let ${about} through: ${next} now.`,
        reasoned: false,
        body: seen,
      },
      may.promote && (status === 'paused' || status === 'baking'),
    ],
    [
      {
        name: 'abort',
        label: 'Abort',
        look: 'danger',
        about,
        words: `Take every wave back, the last one first: all traffic goes to the stable version in ${waves
          .slice(0, wave + 1)
          .flatMap(({ clusters }) => clusters.map(({ cluster }) => cluster))
          .join(', ')}.`,
        reasoned: true,
        body: seen,
      },
      may.abort && fleetIsLive(fleet) && status !== 'rolling_back',
    ],
    [
      {
        name: 'abort',
        label: 'Give up',
        look: 'danger',
        about,
        words:
          'End it as failed: you have taken over by hand what could not be brought back. Sluice does not try again.',
        reasoned: true,
        body: { ...seen, giveUp: true },
      },
      may.giveUp && status === 'rolling_back',
    ],
  ];
  return all.flatMap(([decision, possible]) => (possible ? [decision] : []));
}
