import { SEEDS } from '../../src/sandbox/seeds.ts';
import { closedLoop } from './closed-loop.ts';

closedLoop('gateway-api', 'gateway-api', SEEDS['gateway-api'], ['postgres', 'redis']);
