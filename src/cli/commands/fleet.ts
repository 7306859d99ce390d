/** `sluice fleet ...`: one plan through several clusters, in waves. */
import { PATIENCE } from '../call.ts';
import type { Call, CommandModule } from '../command.ts';
import { Failure, usage } from '../failure.ts';
import { idOf } from '../ids.ts';
import { FLEETS } from '../kinds/fleets.ts';
import * as listing from '../listing.ts';
import * as looking from '../looking.ts';
import { readPlan } from '../plan-file.ts';
import { refusedPlan } from '../refused-plan.ts';
import { printDocument } from '../show/data.ts';
import { findingLines } from '../show/findings.ts';
import { fleetRows } from '../show/fleet.ts';
import * as starting from '../starting.ts';
import * as telling from '../telling.ts';
import type { FindingOf, FleetSummary } from '../wire/api.ts';
import { bodyOf } from '../wire/api.ts';
import { history as historyOf } from './history-of.ts';

const LIVE = ['running', 'baking', 'paused', 'rolling_back'];

export const run: CommandModule = { run: (call) => starting.run(call, FLEETS) };
export const get: CommandModule = { run: (call) => looking.get(call, FLEETS) };
export const wait: CommandModule = { run: (call) => looking.wait(call, FLEETS) };
export const history: CommandModule = { run: (call) => historyOf(call, FLEETS) };
export const list: CommandModule = {
  run: (call) =>
    listing.list<FleetSummary>(call, {
      collection: 'fleet-rollouts',
      plural: 'fleet rollouts',
      query: listing.queryOf(call, { live: LIVE, filters: [] }),
      rows: fleetRows,
    }),
};
export const abort: CommandModule = {
  run: (call) => {
    const wave = expectedWave(call);
    return telling.abort(call, FLEETS, wave === undefined ? {} : { expectedWave: wave });
  },
};

/** What is seen now goes along: "go on" to an approval must not become "go on without the wave that failed". */
export const promote: CommandModule = {
  async run(call) {
    const asked = expectedWave(call);
    const api = await call.api(PATIENCE.command);
    const seen = await FLEETS.read(api, idOf(call, FLEETS));
    if (seen === null) throw new Failure('unreachable', 'fleet promote: no answer');
    const wave = asked ?? seen.wave;
    await telling.tell(call, FLEETS, api, {
      name: 'promote',
      body: { expectedWave: wave, expectedAwaiting: seen.awaiting },
      isDone: (now) => now.wave > wave || now.status === 'succeeded',
    });
    return 'done';
  },
};

export const dryRun: CommandModule = {
  async run(call) {
    const plan = await readPlan(call, FLEETS.labels);
    const api = await call.api(PATIENCE.look);
    const heard = await api.dryRun('fleet-rollouts', plan.sent);
    if (heard === null) throw new Failure('unreachable', 'fleet dry-run: no answer');
    if (heard.answer.status >= 300) throw refusedPlan(heard.answer, plan, 'fleet dry-run', FLEETS.dryRun);
    const body = bodyOf<{ accepted: boolean; findings: FindingOf[] }>(heard.answer, 'fleet dry-run');
    const { output, terminal } = call;
    if (output !== null) await printDocument(terminal, output, body, []);
    else {
      terminal.line(
        body.accepted ? 'Every cluster would accept this plan now' : 'This plan would be refused now',
        body.accepted ? 'good' : 'bad',
      );
      for (const line of findingLines(body.findings, terminal.unicode)) terminal.line(line);
    }
    return body.accepted ? 'done' : 'refused';
  },
};

function expectedWave(call: Call): number | undefined {
  const text = call.text('expected-wave');
  if (text === undefined) return undefined;
  if (/^\d{1,2}$/.test(text)) return Number(text);
  throw usage(`--expected-wave: wanted the index of a wave, from 0; found ${JSON.stringify(text)}`);
}
