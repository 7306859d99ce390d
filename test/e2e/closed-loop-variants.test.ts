import { GATEWAY_VARIANTS } from '../../src/sandbox/seeds.ts';
import { closedLoop } from './closed-loop.ts';

closedLoop('an HTTPRoute that Istio carries out', 'gateway-api', GATEWAY_VARIANTS.istio, ['postgres']);
closedLoop('an HTTPRoute of policy.linkerd.io', 'gateway-api', GATEWAY_VARIANTS.policy, ['postgres']);
