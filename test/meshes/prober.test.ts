/** The probes of a rehearsal, as a caller answers them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { prober } from '../../src/adapters/prober.ts';
import type { FaultRehearsal } from '../../src/domain/temporary.ts';

let server: Server;
afterEach(() => server.close());

/** A caller that treats requests with the rollout's mark so. */
async function caller(marked: { readonly status: number; readonly late: number }): Promise<string> {
  server = createServer((request, response) => {
    const met = request.headers['x-sluice-rehearsal'] === 'ro_1';
    setTimeout(() => response.writeHead(met ? marked.status : 200).end(), met ? marked.late : 0);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const rehearsal = (url: string, faults: Partial<FaultRehearsal>): FaultRehearsal => ({
  kind: 'faultRehearsal',
  delay: null,
  abort: null,
  ...faults,
  probe: { url, requests: 6, timeout: 5_000, maxFailed: 0, minFailed: 0, within: null },
});

it.each([
  ['failed', { status: 503, late: 0 }, { abort: { percent: 100, status: 503 } }, 6, 6],
  ['refused, as the abort has it', { status: 429, late: 0 }, { abort: { percent: 100, status: 429 } }, 0, 6],
  ['refused otherwise', { status: 404, late: 0 }, { abort: { percent: 100, status: 429 } }, 0, 0],
  ['late', { status: 200, late: 300 }, { delay: { percent: 100, time: 250 } }, 0, 6],
  ['answered', { status: 200, late: 0 }, { delay: { percent: 100, time: 60_000 } }, 0, 0],
])('marked ones that are %s are told from as many without the mark', async (_, met, faults, failed, affected) => {
  const url = await caller(met);
  const probed = await prober({ allowed: [new URL(url).host] }).probe('ro_1', rehearsal(url, faults));
  expect(probed).toMatchObject({
    ok: true,
    marked: { requests: 6, failed, affected },
    unmarked: { requests: 6, failed: 0, affected: 0 },
  });
});
