/** What the incumbents do and a plan does in another way, which a person has to choose: one line each, for both of them. */
export const BY_HAND = {
  ensureSubset:
    'both subsets must be in the DestinationRule, with the labels of their Deployments: give them once, or add a step ensureSubset: {} before the first route',
  mirror:
    'of GET, HEAD and OPTIONS, where every method was copied: add allowUnsafeMethods: true if all of them are safe to repeat',
  sessionAffinity:
    'Sluice keeps sessions by an Istio VirtualService only: here a user may meet both versions in turn. Have the application bear both, or route testers by a headerRoute',
  blueGreen:
    'the plan has one step of 50 % in its place, at which users meet the canary. For a switch from 0 to 100 % write steps: { template: blueGreen }, which wants a preview for testers and checks with limits of their own',
  startGate:
    'a gate of Sluice opens only to the answer {"decision":"approve"}, and not to a bare 200: have it answer that and write it into the plan (webhooks, gate: beforeStart), or let the pipeline ask it before `sluice run`',
  webhookGate:
    'a gate of Sluice opens only to the answer {"decision":"approve"}, and not to a bare 200: have it answer that and write it into the plan (webhooks, gate: beforeStep), or let the pipeline ask it before `sluice run`',
} as const;
