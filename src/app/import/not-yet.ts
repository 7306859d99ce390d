/**
 * What the incumbents have and a plan has not. One line each: where a plan learns it, its line goes, and the import that
 * used it says what it becomes.
 */
export const NOT_YET = {
  scale: 'Sluice scales no Deployment: run the canary with all the pods that it needs before the rollout starts',
  ensureSubset:
    'Sluice writes no subsets: give both subsets in the DestinationRule the labels of their Deployments, once',
  sessionAffinity:
    'Sluice gives out no cookie of its own: a user may meet both versions in turn. Route testers by a headerRoute with a cookie, or have the application bear both versions',
  blueGreen:
    'Sluice has no switch from 0 to 100 % without a weight between them: the plan has one step of 50 % in its place, at which users meet the canary',
  webhookGate:
    'Sluice calls no address before it goes on: let the pipeline ask it before `sluice run`, and between the steps by `sluice promote` (approval: required)',
} as const;
