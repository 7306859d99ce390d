/** For the first visit: what this is, and the way to the first rollout. */
import { h } from '../dom.js';
import { codeBlock } from '../parts.js';

/** A plan to begin with; also what the plan page starts from. */
export const EXAMPLE = `target:
  cluster: default
  namespace: production
  service: myapp
  mesh: istio                       # istio | linkerd-smi | gateway-api
  virtualService: { name: myapp, route: api }
  stable: { host: myapp, subset: v1, deployment: myapp-v1 }
  canary: { host: myapp, subset: v2, deployment: myapp-v2 }
steps:
  - { weight: 5,  hold: 2m }
  - { weight: 25, hold: 5m }
  - { weight: 50, hold: 5m, approval: required }
analysis:
  interval: 10s
  failureLimit: 2
  checks:
    - { name: errors,  kind: error-rate, max: 1% }
    - { name: latency, kind: latency, quantile: 0.99, max: 500ms }
`;

/** @param {import('../types.d.ts').Session} session */
export function firstRun(session) {
  const url = location.origin;
  const curl = `curl -X POST ${url}/rollouts \\
  -H "Authorization: Bearer $TOKEN" \\
  -H 'Content-Type: application/yaml' \\
  -H "Idempotency-Key: $CI_JOB_ID" \\
  --data-binary @plan.yaml`;
  return h(
    'div',
    { class: 'first' },
    h('h1', {}, 'No rollout yet'),
    h(
      'p',
      { class: 'lead' },
      'Your pipeline puts a new version (the canary) beside the running one (the stable). Sluice moves the traffic to it step by step, judges it, and promotes it or takes it back by itself. The first rollout will be shown here.',
    ),
    h(
      'ol',
      { class: 'way' },
      h(
        'li',
        {},
        h('h2', {}, 'Write a plan'),
        h('p', {}, 'Which versions, how much traffic when, and what must hold.'),
        codeBlock(EXAMPLE, 'the plan'),
      ),
      h(
        'li',
        {},
        h('h2', {}, 'Try it without consequences'),
        session.may.start
          ? h(
              'p',
              {},
              'The ',
              h('a', { href: '/ui/plan' }, 'plan page'),
              ' checks it against the cluster: the route, the pods, what each query says now. Nothing is written.',
            )
          : h('p', {}, 'Somebody with the role deployer can check it on the plan page. Nothing is written.'),
      ),
      h(
        'li',
        {},
        h('h2', {}, 'Start it from the pipeline'),
        h(
          'p',
          {},
          'With a token of the role deployer: ',
          h('code', {}, 'sluice token create --name ci --role deployer'),
        ),
        codeBlock(curl, 'the command'),
        h('p', { class: 'note' }, 'With the command line: ', h('code', {}, 'sluice run plan.yaml')),
      ),
    ),
    h(
      'p',
      { class: 'note' },
      'All calls: ',
      h('a', { href: '/openapi.json', target: '_blank', rel: 'noopener' }, 'OpenAPI document'),
      '. The fields of a plan: ',
      h('a', { href: '/schemas/plan.json', target: '_blank', rel: 'noopener' }, 'JSON Schema'),
      '.',
    ),
  );
}
