import { GATEWAY_VARIANTS } from '../../src/sandbox/seeds.ts';
import type { EndingName } from './closed-loop.ts';
import { closedLoop } from './closed-loop.ts';

const BOTH_WAYS: readonly EndingName[] = [
  'promotes a good release step by step, and no user notices',
  'rolls a release back that answers with errors',
];

closedLoop('an HTTPRoute that Istio carries out', 'gateway-api', GATEWAY_VARIANTS.istio, ['postgres'], BOTH_WAYS);
closedLoop('an HTTPRoute of policy.linkerd.io', 'gateway-api', GATEWAY_VARIANTS.policy, ['postgres'], BOTH_WAYS);
