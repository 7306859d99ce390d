import { SEEDS } from '../../src/sandbox/seeds.ts';
import { closedLoop } from './closed-loop.ts';

closedLoop('istio', 'istio', SEEDS['istio'], ['postgres', 'redis']);
