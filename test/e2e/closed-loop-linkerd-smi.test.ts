import { SEEDS } from '../../src/sandbox/seeds.ts';
import { closedLoop } from './closed-loop.ts';

closedLoop('linkerd-smi', 'linkerd-smi', SEEDS['linkerd-smi'], ['postgres', 'redis']);
