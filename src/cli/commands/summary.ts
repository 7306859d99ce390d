/** `sluice summary`: one rollout for the page of a pipeline, as Markdown. */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { idOf } from '../ids.ts';
import { ROLLOUTS } from '../kinds/rollouts.ts';
import { serverOf } from '../settings.ts';
import { printDocument } from '../show/data.ts';
import { stepsOf } from '../show/steps.ts';
import { markdownOf, summaryOf } from '../show/summary.ts';

export async function run(call: Call): Promise<Ending> {
  const id = idOf(call, ROLLOUTS);
  const [api, { url }] = await Promise.all([
    call.api(PATIENCE.command),
    serverOf(call.values as Record<string, string>, call.env),
  ]);
  const rollout = await api.rolloutNow(id);
  const [plan, facts] = await Promise.all([api.plan(id), api.facts(id, 0)]);
  const now = Date.now() + (api.wire.clockAhead ?? 0);
  const summary = summaryOf(rollout, stepsOf(plan), facts ?? [], pageOf(rollout.links.self, url), now);
  const { output, terminal } = call;
  if (output === null) terminal.data(markdownOf(rollout, summary));
  else await printDocument(terminal, output, summary, []);
  return 'done';
}

/** The server's own address where it knows it; else the one that it was asked by. */
export function pageOf(self: string, server: URL): string {
  const address = self.startsWith('/') ? `${server.href.replace(/\/$/, '')}${self}` : self;
  return address.replace(/\/rollouts\/([^/]+)$/, '/ui/rollouts/$1');
}
