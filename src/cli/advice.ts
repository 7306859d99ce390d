/** What a person can do next about a rollout. Pure; the words of `explain` and of nothing else. */
import type { PauseCause } from '../domain/rollout.ts';
import type { RolloutBody } from './wire/api.ts';

type Id = { readonly id: string };

const ON_PAUSE: Readonly<Record<PauseCause, (rollout: Id) => readonly string[]>> = {
  operator: ({ id }) => [
    `sluice resume ${id}   when what it was paused for is over`,
    `sluice abort ${id}   to go back`,
  ],
  approval: ({ id }) => [`sluice promote ${id}   to go on`, `sluice abort ${id}   to go back`],
  no_data: ({ id }) => [
    'Has the canary traffic, and does Prometheus scrape it? It goes on by itself as soon as every check can be judged',
    `sluice promote ${id}   goes on without; sluice abort ${id}   goes back`,
  ],
  unproven: ({ id }) => [
    'It goes on by itself once it is proven safe: more traffic, or a longer last step, proves faster',
    `sluice promote ${id}   goes on without a proof; sluice abort ${id}   goes back`,
  ],
  gate: ({ id }) => [
    'A gate (its sentence says which) is waited for. It goes on by itself when the gate approves',
    `sluice promote ${id}   goes on without it; sluice abort ${id}   goes back`,
  ],
  gate_overdue: ({ id }) => [
    'The time of a gate is over: ask whoever keeps it. It goes on by itself when the gate approves',
    `sluice promote ${id}   goes on without it; sluice abort ${id}   goes back`,
  ],
  guard: ({ id }) => [
    'A guard objects (its sentence says to what). It goes on by itself when the guard passes; docs/guards.md tells what each one sees',
    `sluice resume ${id}   goes on in spite of it; sluice abort ${id}   goes back`,
  ],
  drift: ({ id }) => [
    'Find out who changed the route (a GitOps tool? a person?) and stop that writer',
    `sluice resume ${id}   puts the weight of the plan back; sluice abort ${id}   sends all traffic to the stable version`,
  ],
  fighting: ({ id }) => [
    'Somebody keeps changing the route back: stop that writer (docs/operations.md has the recipes for GitOps tools)',
    `sluice resume ${id}   then; or sluice abort ${id}`,
  ],
  foreign_rollout: ({ id }) => [
    'Another installation of Sluice writes the same route: let only one of them do so',
    `sluice resume ${id}   takes the route back; sluice abort ${id}   ends this rollout`,
  ],
  target_missing: () => ['Put the mesh object back: the rollout goes on by itself'],
  route_refused: ({ id }) => [
    `Mend the route as the message says: the rollout goes on by itself; or sluice abort ${id}`,
  ],
  mesh_unreachable: () => ['The API server of the cluster does not answer: it goes on by itself when it does'],
  stable_unavailable: () => [
    'The canary fails and there is no healthy stable version to go back to: bring the stable version up, and it rolls back by itself',
  ],
};

const ON_OUTCOME: Readonly<Record<string, string>> = {
  check_failed:
    'Compare the canary with the stable version at the time of the measurements below, mend it, and run again',
  guard_failed:
    'docs/guards.md tells what the guard of this name sees and how its limit is set; mend the canary, and run again',
  gate_refused: 'A gate of the plan (webhooks) refused the next step: its words are in the sentence',
  gate_overdue:
    'A gate of the plan (webhooks) did not approve in its time: is whoever keeps it there, and does it answer?',
  no_data:
    'See that the canary gets traffic and is scraped before the next run: sluice plan dry-run shows what each check measures',
  not_in_force:
    'Find out why what carries the route to the proxies does not (linkerd smi check), or give readyDeadline more time',
  preflight: 'Something around the route has changed while it waited: sluice plan dry-run shows what, and what to do',
  starting_point:
    'An earlier rollout promoted this version: swap stable and canary in the plan, or give the stable version the traffic first',
  canary_unready: 'See why its pods do not become ready (kubectl describe), or give readyDeadline more time',
  canary_gone:
    'Somebody deleted the canary while it had traffic: let the pipeline clean up only after the end of the rollout',
  deadline: 'The plan gives it less time than the steps and approvals took: see deadline in the plan',
};

export function nextSteps(rollout: RolloutBody): readonly string[] {
  const { id, status, pause, outcome, trouble } = rollout;
  switch (status) {
    case 'pending':
    case 'progressing':
      return [`sluice get ${id} --watch   follows it`, `sluice pause ${id}   or sluice abort ${id}   stop it`];
    case 'paused':
      return (ON_PAUSE[(pause?.cause ?? '') as PauseCause] ?? onUnknownPause)(rollout);
    case 'rolling_back':
      return trouble === null
        ? [`sluice wait ${id}   until the stable version has all traffic`]
        : [
            `The mesh does not take the rollback: ${trouble.message}`,
            `sluice retry ${id}   tries it at once`,
            'Set the weights by hand if it must be now; the rollback ends as soon as it reads them back',
          ];
    case 'succeeded':
      return ['Nothing: all traffic is on the new version'];
    case 'rolled_back':
      return [
        ON_OUTCOME[outcome?.code ?? ''] ?? 'Mend what the sentence names, and run again',
        `sluice retry ${id}   starts the same plan anew`,
      ];
    case 'aborted':
      return [`sluice retry ${id}   starts the same plan anew`];
    case 'superseded':
      return ['A newer rollout has taken its place: sluice list'];
    case 'failed':
      return ['See to it that the stable version has all traffic, by hand: nobody else will', 'Then run a new rollout'];
    default:
      return status satisfies never;
  }
}

const onUnknownPause = ({ id }: Id): readonly string[] => [`sluice resume ${id}`, `sluice abort ${id}`];
