/** What can be done on the sandbox's page. Each act is put down in the journal before it has an effect. */
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { RolloutView } from '../demo/service.ts';
import { TERMINAL } from '../demo/service.ts';
import type { Answer } from '../json-call.ts';
import { act, NotNow } from '../json-call.ts';
import type { Behaviour } from '../pod-server.ts';
import type { Sandbox } from '../sandbox.ts';
import { HEALTHY } from '../sandbox.ts';
import type { Journal } from './journal.ts';
import type { Restarts } from './restarts.ts';
import type { ActName } from './wire.ts';

export const RELEASES = {
  good: { words: 'healthy', behaviour: HEALTHY },
  bad: { words: 'a quarter of its requests fail', behaviour: { ...HEALTHY, errorRate: 0.25 } },
  slow: { words: 'every request takes 0.8 s', behaviour: { ...HEALTHY, latencyMs: 800 } },
} as const satisfies Readonly<Record<string, { readonly words: string; readonly behaviour: Behaviour }>>;

const release = z.strictObject({ kind: z.enum(['good', 'bad', 'slow']) });
const canary = z.strictObject({ errorRate: z.number().min(0).max(1), latencyMs: z.number().min(0).max(2_000) });
const kill = z.strictObject({});
const prometheus = z.strictObject({ answers: z.boolean() });
const route = z.strictObject({ weight: z.int().min(0).max(100) });

export interface ActsOptions {
  readonly sandbox: Sandbox;
  readonly journal: Journal;
  readonly restarts: Restarts;
  /** POST /rollouts with the plan for this image. */
  readonly start: (image: string) => Promise<unknown>;
  /** Throws where Sluice does not answer. */
  readonly newest: () => Promise<RolloutView | null>;
}

export interface Acts {
  readonly prometheus: 'answers' | 'hangs';
  /** Throws NotNow, or what went wrong. */
  readonly perform: Readonly<Record<ActName, (incoming: IncomingMessage) => Promise<Answer>>>;
}

export function acts({ sandbox, journal, restarts, start, newest }: ActsOptions): Acts {
  let answers = true;
  let releases = 0;
  let releasing = false;

  /** What a pipeline does: the new version beside the stable one, then the call for a rollout. */
  const putBeside = async (kind: keyof typeof RELEASES): Promise<void> => {
    const current = await newest().catch(() => {
      throw new NotNow('Sluice does not answer: wait until its process is up again');
    });
    if (current !== null && !TERMINAL.has(current.status))
      throw new NotNow('a rollout is under way: wait for its end, or abort it on its page');
    releases += 1;
    const { words, behaviour } = RELEASES[kind];
    const image = `myapp:3.${releases}`;
    journal.you('release', `Put ${image} (${words}) beside the stable version, and called for a rollout`);
    // A promoted canary becomes the stable version: what was broken here must not stay broken there.
    sandbox.setCanary(HEALTHY);
    await sandbox.release(image, behaviour);
    await start(image);
  };

  return {
    get prometheus() {
      return answers ? 'answers' : 'hangs';
    },
    perform: {
      release: (incoming) =>
        act(incoming, release, async ({ kind }) => {
          if (releasing) throw new NotNow('a release is being put beside the stable version');
          releasing = true;
          try {
            await putBeside(kind);
          } finally {
            releasing = false;
          }
        }),
      canary: (incoming) =>
        act(incoming, canary, async ({ errorRate, latencyMs }) => {
          journal.you('canary', `Set the canary to ${Math.round(errorRate * 100)} % errors and ${latencyMs} ms`);
          sandbox.setCanary({ errorRate, latencyMs });
        }),
      kill: (incoming) =>
        act(incoming, kill, () => {
          if (restarts.state === 'running') journal.you('kill', 'Killed the worker');
          return restarts.kill();
        }),
      prometheus: (incoming) =>
        act(incoming, prometheus, async (wanted) => {
          if (wanted.answers === answers) return;
          answers = wanted.answers;
          journal.you('prometheus', answers ? 'Let Prometheus go on' : 'Stopped Prometheus: it no longer answers');
          sandbox.setPrometheus(answers);
        }),
      route: (incoming) =>
        act(incoming, route, async ({ weight }) => {
          journal.you('route', `Edited the route by hand: ${weight} % to the canary`);
          await sandbox.editRoute(weight);
        }),
    },
  };
}
