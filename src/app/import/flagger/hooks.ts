/** Webhooks and alerts of a Canary. */

import { BY_HAND } from '../by-hand.ts';
import type { Field } from '../field.ts';
import type { PlanDocument } from '../note.ts';

type Step = PlanDocument;

/** The steps, with a person's word where Flagger waits for an address to say yes. */
export function flaggerHooks(webhooks: Field, steps: readonly Step[]): readonly Step[] {
  let asked = steps;
  for (const hook of webhooks.items()) {
    const type = hook.at('type').text() ?? 'rollout';
    switch (type) {
      case 'confirm-promotion':
        hook.differs(
          'approval: required at the last step: a person promotes (`sluice promote`), or the pipeline does when its address says yes',
        );
        asked = asked.map((step, at) => (at === asked.length - 1 ? approved(step) : step));
        break;
      case 'confirm-traffic-increase':
        hook.differs(
          'approval: required at every weight: a person promotes (`sluice promote`), or the pipeline does when its address says yes',
        );
        asked = asked.map((step) => (step['weight'] === undefined ? step : approved(step)));
        break;
      case 'event':
        hook.unsupported(
          'a channel of the installation is told instead (docs/webhooks.md), or read GET /rollouts/{id}/events',
        );
        break;
      case 'post-rollout':
        hook.unsupported(
          'write it into the plan as webhooks with gate: after, which is told the outcome; or call it when `sluice run` has ended',
        );
        break;
      case 'rollout':
        if (makesLoad(hook))
          hook.unsupported('it only makes load: start that yourself, so that the canary has requests to be judged by');
        else hook.blocks(BY_HAND.webhookGate);
        break;
      case 'rollback':
        hook.blocks('have it call `sluice abort` instead: Sluice asks no address whether to go back');
        break;
      case 'confirm-rollout':
      case 'pre-rollout':
        hook.blocks(BY_HAND.startGate);
        break;
      default:
        hook.blocks(BY_HAND.webhookGate);
    }
  }
  return asked;
}

const approved = (step: Step): Step => ({ ...step, approval: 'required' });

/** The load tester runs such commands in the background and says yes at once. */
const LOAD = /^\s*(?:hey|ghz|wrk2?|k6|vegeta|fortio|ab)\s/;
const makesLoad = (hook: Field): boolean =>
  (hook.at('metadata', 'type').text() ?? 'cmd') === 'cmd' && LOAD.test(hook.at('metadata', 'cmd').text() ?? '');

export function alertNotes(analysis: Field): void {
  analysis
    .at('alerts')
    .unsupported('who is told is a setting of Sluice (Slack, channels): docs/slack.md, docs/webhooks.md');
}
