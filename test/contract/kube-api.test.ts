import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crd, startKubeApi } from '../../src/sandbox/kube-api/index.ts';
import { openHttp } from '../support/kube-http.ts';
import { cases, KINDS, type Server } from './kube-api.cases.ts';

type Opened = Server & { close(): Promise<void> };

async function inProcess(): Promise<Opened> {
  const api = await startKubeApi();
  api.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'contract' } });
  const http = await openHttp({ kubeconfig: api.kubeconfig() });
  const close = async (): Promise<void> => {
    http.close();
    await api.stop();
  };
  return { http, namespace: 'contract', what: 'in process', minor: 30, close };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let left = 150; left > 0; left -= 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`after 30 s still not so: ${what}`);
}

/** Makes its CRDs and a namespace of its own, and takes away what it made. */
async function real(kubeconfigFile: string): Promise<Opened> {
  const http = await openHttp({ kubeconfigFile });
  const version = (await http.send('GET', '/version')).json<{ minor: string }>();
  const minor = Number.parseInt(version.minor, 10);
  if (Number.isNaN(minor)) throw new Error(`/version has no minor number: ${JSON.stringify(version)}`);
  const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const made: string[] = [];
  for (const kind of KINDS) {
    const path = `${definitions}/${kind.plural}.${kind.group}`;
    const reply = await http.send('POST', definitions, crd(kind));
    expect([201, 409], reply.text).toContain(reply.status);
    if (reply.status === 201) made.push(path);
    await until(`${path} is established`, async () =>
      /"type":"Established","status":"True"/.test((await http.send('GET', path)).text),
    );
    const served = `/apis/${kind.group}/${kind.storage}/${kind.plural}`;
    await until(`${served} is served`, async () => (await http.send('GET', served)).status === 200);
  }
  const namespace = `sluice-contract-${randomBytes(3).toString('hex')}`;
  const created = await http.send('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: namespace },
  });
  expect(created.status, created.text).toBe(201);
  const close = async (): Promise<void> => {
    for (const path of made) await http.send('DELETE', path);
    await http.send('DELETE', `/api/v1/namespaces/${namespace}`);
    http.close();
  };
  return { http, namespace, what: 'real', minor, close };
}

function contract(name: string, open: () => Promise<Opened>): void {
  describe(name, () => {
    let server: Opened;
    const skipped: string[] = [];
    beforeAll(async () => {
      server = await open();
    });
    afterAll(async () => {
      await server.close();
    });

    it.for(cases)('$name', async ({ skip, run, name: what }, context) => {
      const why = skip?.(server) ?? null;
      if (why !== null) {
        skipped.push(`${what}: ${why}`);
        context.skip(why);
      }
      await run(server);
    });

    it('leaves out only what it has a reason to leave out', () => {
      const expected = cases.filter(({ skip }) => (skip?.(server) ?? null) !== null);
      expect(skipped).toHaveLength(expected.length);
      if (server.what === 'in process') expect(skipped).toEqual([]);
    });
  });
}

contract('Kubernetes API in process', inProcess);

const kubeconfigFile = process.env['KUBECONFIG_CONTRACT'];
if (kubeconfigFile === undefined)
  describe('Kubernetes API, real', () => {
    it.skip(`${cases.length} cases: KUBECONFIG_CONTRACT names no kubeconfig`);
  });
else contract('Kubernetes API, real', () => real(kubeconfigFile));
