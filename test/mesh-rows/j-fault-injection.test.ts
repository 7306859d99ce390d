/** Row J: faults for the rollout's own marked requests, during their step only, though the worker is killed; nobody else meets one. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Service } from '../../src/sandbox/demo/service.ts';
import { since } from '../../src/sandbox/traffic.ts';
import type { Loop } from '../e2e/closed-loop.ts';
import { plan, startLoop } from '../e2e/closed-loop.ts';
import type { IstioRules } from '../e2e/istio-rules.ts';
import { istioRules } from '../e2e/istio-rules.ts';
import type { Steps } from '../e2e/steps.ts';
import { stepsOf } from '../e2e/steps.ts';
import { measurements } from '../support/measurements.ts';
import { query } from '../support/prometheus-query.ts';

const ABORTED = { abort: { percent: '100%', status: 503 } };
const REQUESTS = 20;
const NEXT = { weight: 50, hold: '2s' };

let loop: Loop;
let service: Service;
let steps: Steps;
let rules: IstioRules;
let callers: Readonly<Record<'patient' | 'forgetful', Caller>>;
beforeAll(async () => {
  loop = await startLoop('istio');
  const [patient, forgetful] = await Promise.all([caller(true), caller(false)]);
  callers = { patient, forgetful };
  const hosts = [loop.sandbox.entryUrl, patient.url, forgetful.url].map((url) => new URL(url).host);
  service = await loop.service('postgres', 'prometheus', { SLUICE_PROBE_HOSTS: hosts.join(',') });
  steps = stepsOf(loop, service);
  rules = istioRules(loop);
}, 90_000);
afterAll(async () => {
  for (const { server } of Object.values(callers ?? {})) server.close();
  await loop?.stop();
});

interface Caller {
  readonly url: string;
  readonly server: Server;
}

/** A caller of the service that answers 200 whatever the service does. `passes`: it hands the mark of its requests on. */
async function caller(passes: boolean): Promise<Caller> {
  const server = createServer(async (request, response) => {
    const mark = request.headers['x-sluice-rehearsal'];
    const headers: Record<string, string> = passes && typeof mark === 'string' ? { 'x-sluice-rehearsal': mark } : {};
    await fetch(steps.entry(), { headers }).then((answer) => answer.body?.cancel());
    response.end('stood');
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

/** `maxFailed`: what the caller may make of faults that all of its requests meet. */
const rehearsal = (maxFailed: string, minFailed = '0%') => ({
  faultRehearsal: { ...ABORTED, probe: { url: steps.entry(), requests: REQUESTS, maxFailed, minFailed } },
  hold: '0s',
});
/** Requests that a proxy of the mesh answered with an injected fault. */
const faulted = async (): Promise<number> =>
  (await query(loop.sandbox, 'sum(istio_requests_total{response_flags=~".*FI.*"})')) ?? 0;

describe('a fault rehearsal', () => {
  it('has its rule during its step alone; its probes meet the faults and are stored, users meet none', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:rehearsed');
    const before = loop.sandbox.users();
    const untouched = await rules.all();
    const { id } = await steps.started([rehearsal('100%', '50%'), NEXT]);
    await steps.reached(id, 0);
    expect(await rules.own()).toEqual([`sluice-${id}-fault-0`]);
    expect(await loop.sandbox.weight()).toBe(0);
    const asked = await Promise.all(
      [{ 'x-sluice-rehearsal': id }, { 'x-sluice-rehearsal': 'ro_another' }, {}].map((headers) =>
        fetch(steps.entry(), { headers }),
      ),
    );
    expect(asked.map(({ status }) => status)).toEqual([503, 200, 200]);

    await steps.until(id, ({ step }) => step === 1);
    await steps.reached(id, 1);
    expect(await rules.own()).toEqual([]);
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    const names = (all: readonly Record<string, unknown>[]) => all.map(({ name }) => name);
    expect(names(await rules.all())).toEqual(names(untouched));

    const users = since(loop.sandbox.users(), before);
    expect([users.failed, users.requests > 100]).toEqual([0, true]);
    const rounds = (await measurements(service, id)).filter(({ check }) => check === 'fault-rehearsal');
    const stored = rounds.at(-1);
    // Proxies of a busy machine may learn of the rule late: such a round counts for nothing.
    expect(rounds.slice(0, -1).filter(({ code }) => code !== 'propagating')).toEqual([]);
    // Those of the rollout and the one above: nobody else's.
    await expect.poll(faulted, { timeout: 30_000 }).toBeGreaterThanOrEqual(REQUESTS + 1);
    expect(await faulted()).toBeLessThanOrEqual(rounds.length * REQUESTS + 1);
    expect(stored).toMatchObject({ step: 0, verdict: 'pass', value: 1, samples: REQUESTS, query: steps.entry() });
    expect(stored?.reason).toMatch(/^20 of 20 rehearsed requests to .* failed \(status 503\)/);
    const told = (await service.events(id)).filter(({ type }) => type === 'verdict_changed');
    expect(told.map(({ message }) => message).join('\n')).toMatch(
      /^check "fault-rehearsal": pass: 20 of 20 rehearsed requests/m,
    );
  });

  it('that its caller stands passes once the proxies have counted the faults that it hides', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:stood');
    const { url } = callers.patient;
    const { id } = await steps.started([
      { faultRehearsal: { ...ABORTED, probe: { url, requests: REQUESTS } }, hold: '0s' },
      NEXT,
    ]);
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    const stored = (await measurements(service, id)).filter(({ check }) => check === 'fault-rehearsal');
    expect(stored.at(-1)).toMatchObject({ verdict: 'pass', value: 0, samples: REQUESTS });
    expect(stored.at(-1)?.reason).toMatch(
      /^0 of 20 .*; the proxies counted \d+ injected faults, which their caller stood$/,
    );
    // The first looks cannot know yet, and do not pass.
    expect(stored.slice(0, -1).length).toBeGreaterThan(0);
    expect(stored.slice(0, -1).map(({ verdict }) => verdict)).toEqual(stored.slice(0, -1).map(() => 'inconclusive'));
  });

  it('whose caller drops the mark never passes, and pauses with what to do', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:unmarked');
    const { url } = callers.forgetful;
    const { analysis } = plan(loop.sandbox);
    const { id } = await steps.started(
      [{ faultRehearsal: { ...ABORTED, probe: { url, requests: REQUESTS } }, hold: '0s' }, NEXT],
      { analysis: { ...analysis, noData: { patience: '15s', then: 'pause' } } },
    );
    const rollout = await steps.until(id, ({ status }) => status === 'paused');
    expect(rollout.pause?.message).toMatch(
      /Nothing shows that a fault was injected: see that whoever answers there passes the header x-sluice-rehearsal on/,
    );
    const verdicts = (await measurements(service, id)).map(({ verdict }) => verdict);
    expect(new Set(verdicts)).toEqual(new Set(['inconclusive']));
    await service.abort(id);
    expect((await steps.ended(id)).status).toBe('aborted');
    expect(await rules.own()).toEqual([]);
  });

  it('that its caller does not stand sends the canary back', { timeout: 90_000 }, async () => {
    await loop.sandbox.release('myapp:fragile');
    const before = loop.sandbox.users();
    const { id } = await steps.started([rehearsal('0%'), NEXT]);
    const rollout = await steps.ended(id);
    expect(rollout).toMatchObject({ status: 'rolled_back', outcome: { check: 'fault-rehearsal' } });
    expect(rollout.outcome?.message).toMatch(
      /20 of 20 rehearsed requests to .* failed \(status 503\), at most 0 % may/,
    );
    expect(await rules.own()).toEqual([]);
    expect(since(loop.sandbox.users(), before).failed).toBe(0);
  });

  it('is taken away though the worker is killed in the middle, and the rollout goes on', {
    timeout: 90_000,
  }, async () => {
    await loop.sandbox.release('myapp:killed');
    const before = loop.sandbox.users();
    const { id } = await steps.started([rehearsal('100%', '50%'), NEXT]);
    await steps.reached(id, 0);
    await service.kill();
    expect(await rules.own()).toEqual([`sluice-${id}-fault-0`]);
    await service.restart();
    const rollout = await steps.ended(id);
    expect(rollout.status, rollout.outcome?.message).toBe('succeeded');
    expect(await rules.own()).toEqual([]);
    expect(since(loop.sandbox.users(), before).failed).toBe(0);
  });
});
