/**
 * The sandbox's page: the users' requests as bubbles, and what breaks the canary, Sluice and what it leans on. It is a guest
 * of the control server. Of Sluice it knows the REST API, as any client does.
 */

import type { Guest } from '../control.ts';
import type { RolloutView, Service } from '../demo/service.ts';
import { TERMINAL } from '../demo/service.ts';
import { reply } from '../json-call.ts';
import type { Sandbox } from '../sandbox.ts';
import { SLOW_AFTER_MS } from '../sandbox.ts';
import { acts } from './acts.ts';
import { countsOf, sampler } from './bubbles.ts';
import { HEADERS, pageFiles } from './files.ts';
import { follow } from './follow.ts';
import { isNews, journal } from './journal.ts';
import { restarts } from './restarts.ts';
import { viewers } from './viewers.ts';
import type { Rollout, State } from './wire.ts';
import { ACTS } from './wire.ts';

export interface ShowOptions {
  readonly sandbox: Sandbox;
  readonly service: Pick<Service, 'url' | 'token' | 'pid' | 'start' | 'kill' | 'restart'>;
  /** Of a release that is started here. */
  readonly plan: (target: object, image: string) => object;
  /** Why nothing can be done yet. Default: everything can. */
  readonly busy?: string;
  /** Milliseconds from the death of Sluice's process to its start. Default: 4000. */
  readonly restartAfter?: number;
}

export interface Show extends Guest {
  /** From now on everything can be done. */
  open(): void;
  stop(): Promise<void>;
}

const BATCH_MS = 200;
const RESTART_AFTER_MS = 4_000;

export function startShow(options: ShowOptions): Show {
  const { sandbox, service, plan, restartAfter = RESTART_AFTER_MS } = options;
  let busy = options.busy ?? null;
  let rollout: Rollout | null = null;
  let lastFact = '';
  const log = journal(Date.now);
  const watching = viewers();
  const process = restarts(service, restartAfter, (_, words) => log.sandbox(words));
  const following = follow(service, {
    facts(id, facts) {
      lastFact = facts.findLast(isNews)?.message ?? lastFact;
      log.sluice(id, facts);
    },
    rollout(view) {
      rollout = rolloutOf(view, lastFact);
    },
  });
  const can = acts({
    sandbox,
    journal: log,
    restarts: process,
    start: (image) => service.start(plan(sandbox.target, image)),
    newest: following.newest,
  });

  const requests = sampler(Date.now);
  const unfollow = sandbox.traffic.follow(requests.offer);
  const state = (): State => ({
    mesh: sandbox.mesh,
    sluice: { url: `${service.url}/ui/`, token: service.token },
    busy,
    canary: sandbox.canary,
    weight: sandbox.weights.at(-1)?.weight ?? null,
    process: { state: process.state, pid: process.pid, kills: process.kills },
    prometheus: can.prometheus,
    rollout,
    log: log.entries,
  });
  let told = '';
  let counted = 0;
  const tick = (): void => {
    watching.tell('requests', requests.take());
    const now = state();
    const text = JSON.stringify(now);
    if (text !== told) watching.tell('state', now);
    told = text;
    const second = Math.floor(Date.now() / 1000);
    if (second === counted) return;
    counted = second;
    watching.tell('counts', countsOf(sandbox.traffic.timeline(), Date.now(), SLOW_AFTER_MS));
  };
  const ticker = setInterval(tick, BATCH_MS);

  const files = pageFiles();
  return {
    take(incoming, response) {
      const { method = '', url = '' } = incoming;
      if (method === 'GET' && url === '/stream') {
        watching.admit(response);
        return true;
      }
      const file = method === 'GET' ? files.get(url) : undefined;
      if (file !== undefined) {
        response.writeHead(200, { ...HEADERS, 'content-type': file.type }).end(file.body);
        return true;
      }
      const name = method === 'POST' ? ACTS.find((known) => url === `/acts/${known}`) : undefined;
      if (name === undefined) return false;
      reply(
        response,
        busy === null ? can.perform[name](incoming) : Promise.resolve({ status: 409, body: { error: busy } }),
      );
      return true;
    },
    open() {
      busy = null;
    },
    async stop() {
      clearInterval(ticker);
      unfollow();
      watching.close();
      await following.stop();
      await process.stop();
    },
  };
}

function rolloutOf({ id, status, step, steps, weight, outcome, pause, trouble }: RolloutView, fact: string): Rollout {
  const words = outcome?.message ?? pause?.message ?? trouble?.message ?? fact;
  return { id, status, live: !TERMINAL.has(status), step, steps, weight: weight.observed, words };
}
