import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { readConfig } from '../../src/config.ts';
import { CHART, EXAMPLES, helm } from '../support/chart.ts';

/** Without helm everything else about the chart is still checked, in chart.test.ts and rbac.test.ts. */
const when = helm === null ? 'NOT RUN, there is no helm on the PATH (or in HELM): ' : '';

/** A file of a ConfigMap, where the service can read it here. */
function mountedHere(objects: readonly Manifest[], name: string): string {
  const text = of(objects, 'ConfigMap')
    .map(({ data }) => data?.[name])
    .find((found) => found !== undefined);
  const path = join(mkdtempSync(join(tmpdir(), 'sluice-chart-')), name);
  writeFileSync(path, text ?? '');
  return path;
}

type Labels = Readonly<Record<string, string>>;
interface Container {
  readonly name: string;
  readonly image: string;
  readonly securityContext: object;
  readonly resources: object;
  readonly env: readonly {
    readonly name: string;
    readonly value?: string;
    readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
  }[];
  readonly envFrom?: readonly object[];
}
interface Pod {
  readonly metadata: { readonly labels: Labels; readonly annotations: Labels };
  readonly spec: {
    readonly securityContext: object;
    readonly serviceAccountName?: string;
    readonly volumes: readonly object[];
    readonly containers: readonly [Container];
    readonly initContainers?: readonly Container[];
  };
}
/** What these tests look at; each kind has some of it. */
interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels: Labels;
    readonly annotations?: Labels;
  };
  readonly data: Labels;
  readonly rules: readonly { readonly resources: readonly string[]; readonly verbs: readonly string[] }[];
  readonly roleRef: { readonly name: string };
  readonly subjects: readonly [{ readonly name: string }];
  readonly spec: {
    readonly template: Pod;
    readonly selector: Labels & { readonly matchLabels: Labels };
    readonly podSelector: { readonly matchLabels: Labels };
    readonly groups: readonly [{ readonly rules: readonly object[] }];
    readonly rules: readonly [
      { readonly http: { readonly paths: readonly { readonly path: string; readonly pathType: string }[] } },
    ];
  };
}

const valuesOf = (example: string): string[] => ['-f', join(CHART, 'ci', `${example}-values.yaml`)];
const KUBERNETES = ['--kube-version', '1.30.0'];

function render(args: readonly string[], release = 'r'): Manifest[] {
  const text = execFileSync(helm as string, ['template', release, CHART, '-n', 'delivery', ...KUBERNETES, ...args], {
    encoding: 'utf8',
  });
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    const object = document.toJS() as Manifest | null;
    return object === null ? [] : [object];
  });
}

/** What helm says when it refuses. */
function refused(args: readonly string[]): string {
  const { status, stderr } = spawnSync(helm as string, ['template', 'r', CHART, ...KUBERNETES, ...args], {
    encoding: 'utf8',
  });
  expect(status).not.toBe(0);
  return stderr;
}

const of = (objects: readonly Manifest[], kind: string): Manifest[] =>
  objects.filter((object) => object['kind'] === kind);
/** Rights to one Secret that is a key to another cluster. */
const isRemoteSecret = ({ name }: Manifest['metadata']): boolean => name.includes('-remote-');
const podOf = (object: Manifest): Pod => object.spec.template;
const workloads = (objects: readonly Manifest[]): Manifest[] => [...of(objects, 'Deployment'), ...of(objects, 'Job')];

describe.skipIf(helm === null).each(EXAMPLES)(`${when}the chart with %s values`, (example) => {
  const objects = helm === null ? [] : render(valuesOf(example));

  it('passes helm lint', () => {
    execFileSync(helm as string, ['lint', '--strict', CHART, ...valuesOf(example)], { stdio: 'pipe' });
  });

  it('names each object once, and labels it', () => {
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`);
    expect(new Set(names).size).toBe(names.length);
    for (const { metadata } of objects)
      expect(metadata.labels).toMatchObject({ 'app.kubernetes.io/name': 'sluice', 'app.kubernetes.io/instance': 'r' });
  });

  it('runs every pod within the "restricted" profile', () => {
    expect(workloads(objects).length).toBeGreaterThanOrEqual(2);
    for (const workload of workloads(objects)) {
      const { spec } = podOf(workload);
      expect(spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 10001,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(spec).toMatchObject({ enableServiceLinks: false });
      expect(Object.keys(spec)).not.toEqual(expect.arrayContaining([expect.stringMatching(/^host/)]));
      for (const volume of spec.volumes)
        expect(Object.keys(volume).filter((key) => key !== 'name')).not.toContain('hostPath');
      for (const container of [...spec.containers, ...(spec.initContainers ?? [])]) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.resources).toMatchObject({
          requests: { cpu: expect.anything(), memory: expect.anything() },
          limits: { memory: expect.anything() },
        });
        expect(container.image).toMatch(/(:\d|@sha256:)/);
      }
    }
  });

  it('holds no secret: every secret value comes from the Secret that was named', () => {
    expect(of(objects, 'Secret')).toEqual([]);
    for (const workload of workloads(objects)) {
      const [container] = podOf(workload).spec.containers;
      for (const { name, value } of container.env)
        if (value !== undefined) expect(name).not.toMatch(/_URL$|TOKEN|SECRET|PASSWORD/);
      const database = container.env.find((variable) => variable.name === 'DATABASE_URL');
      expect(database?.valueFrom?.secretKeyRef).toEqual({ name: 'sluice', key: 'DATABASE_URL' });
    }
  });

  it('gives the service settings that it accepts', () => {
    const config = of(objects, 'ConfigMap').find(({ metadata }) => metadata.name === 'r-sluice') as Manifest;
    for (const deployment of of(objects, 'Deployment')) {
      const [container] = podOf(deployment).spec.containers;
      expect(container.envFrom).toEqual([{ configMapRef: { name: 'r-sluice' } }]);
      const signing = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
      const secret: Record<string, string> = {
        DATABASE_URL: 'postgres://u:pw@h:5432/d',
        REDIS_URL: 'redis://h:6379',
        SLUICE_WEBHOOK_SECRETS: signing,
        OPS_SECRET: signing,
        TEAMS_URL: 'https://teams.example.com/hook',
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=secret',
      };
      const env = Object.fromEntries(
        container.env.map(({ name, value }) => [
          name,
          value ?? secret[name] ?? 'a-secret-value-of-more-than-32-characters',
        ]),
      );
      // In a pod the service account is there; here a file stands for it. The clusters file is mounted there, not here.
      const {
        SLUICE_CLUSTERS_FILE: file,
        SLUICE_CHANNELS_FILE: told,
        SLUICE_TRUST_FILE: trusted,
        ...data
      } = config.data;
      const stand = {
        ...(file === undefined ? {} : { PROMETHEUS_URL: 'http://prometheus:9090' }),
        ...(told === undefined ? {} : { SLUICE_CHANNELS_FILE: mountedHere(objects, 'channels.yaml') }),
        ...(trusted === undefined ? {} : { SLUICE_TRUST_FILE: mountedHere(objects, 'trust.yaml') }),
      };
      const read = readConfig({ ...data, ...stand, ...env, KUBECONFIG: import.meta.filename });
      expect(read.ok ? [] : read.problems).toEqual([]);
      expect(read).toMatchObject({ ok: true, config: { port: 8080, host: '0.0.0.0' } });
    }
  });

  it('selects with each Service, budget and policy the pods that are meant', () => {
    const pods = workloads(objects).map((workload) => podOf(workload).metadata.labels);
    const hit = (selector: Labels): unknown[] =>
      pods
        .filter((labels) => Object.entries(selector).every(([key, value]) => labels[key] === value))
        .map((labels) => labels['app.kubernetes.io/component']);
    const service = (name: string): Manifest =>
      of(objects, 'Service').find(({ metadata }) => metadata.name === name) as Manifest;
    expect(hit(service('r-sluice').spec.selector)).toEqual(['api']);
    expect(hit(service('r-sluice-worker').spec.selector)).toEqual(['worker']);
    for (const budget of of(objects, 'PodDisruptionBudget'))
      expect(hit(budget.spec.selector.matchLabels)).toHaveLength(1);
    for (const policy of of(objects, 'NetworkPolicy'))
      expect(hit(policy.spec.podSelector.matchLabels)).toHaveLength(pods.length);
    for (const deployment of of(objects, 'Deployment'))
      expect(hit(deployment.spec.selector.matchLabels)).toHaveLength(1);
  });

  it('binds api and worker to accounts of their own, and only the worker may write', () => {
    const accounts = of(objects, 'ServiceAccount').map(({ metadata }) => metadata.name);
    expect(accounts.toSorted()).toEqual(['r-sluice-api', 'r-sluice-worker']);
    const roles = [...of(objects, 'Role'), ...of(objects, 'ClusterRole')];
    for (const role of roles) {
      const verbs = new Set(role.rules.flatMap((rule) => rule.verbs));
      if (role.metadata.name.endsWith('-inspect')) {
        expect(verbs).toEqual(new Set(['list']));
        continue;
      }
      if (isRemoteSecret(role.metadata)) {
        expect(role).toMatchObject({
          metadata: { namespace: 'istio-system' },
          rules: [
            { apiGroups: [''], resources: ['secrets'], resourceNames: ['istio-remote-secret-east'], verbs: ['get'] },
          ],
        });
        continue;
      }
      const writes = role.metadata.name.endsWith('-worker');
      expect(verbs).toEqual(new Set(writes ? ['get', 'list', 'watch', 'patch'] : ['get', 'list', 'watch']));
      expect(JSON.stringify(role.rules)).not.toMatch(/"\*"|secrets/);
    }
    for (const binding of [...of(objects, 'RoleBinding'), ...of(objects, 'ClusterRoleBinding')]) {
      expect(roles.map(({ metadata }) => metadata.name)).toContain(binding.roleRef.name);
      if (binding.roleRef.name.endsWith('-inspect') || isRemoteSecret(binding.metadata)) {
        expect(binding.subjects.map(({ name }: { name: string }) => name)).toEqual(['r-sluice-api', 'r-sluice-worker']);
        continue;
      }
      expect(binding.subjects).toEqual([
        { kind: 'ServiceAccount', name: expect.stringMatching(/^r-sluice-(api|worker)$/), namespace: 'delivery' },
      ]);
      expect(binding.roleRef.name).toBe(`delivery-${binding.subjects[0].name}`);
    }
    for (const deployment of of(objects, 'Deployment'))
      expect(accounts).toContain(podOf(deployment).spec.serviceAccountName);
  });

  it('keeps the migrations apart from what is not there yet', () => {
    for (const job of of(objects, 'Job')) {
      expect(job.metadata.annotations).toMatchObject({ 'helm.sh/hook': 'pre-install,pre-upgrade' });
      const { spec } = podOf(job);
      expect(spec).toMatchObject({ automountServiceAccountToken: false, restartPolicy: 'Never' });
      expect(spec.serviceAccountName).toBeUndefined();
      expect(spec.containers[0]).toMatchObject({ args: ['migrate'] });
      expect(spec.containers[0].envFrom).toBeUndefined();
    }
  });
});

describe.skipIf(helm === null)(`${when}choices`, () => {
  const minimal = valuesOf('minimal');
  const rendered = (...sets: string[]) => render([...minimal, ...sets.flatMap((set) => ['--set', set])]);

  it('a Role in each namespace that is named; a ClusterRole only when asked for', () => {
    const two = rendered('rbac.namespaces={a,b}');
    expect(of(two, 'Role').map(({ metadata }) => metadata.namespace)).toEqual(['a', 'b', 'a', 'b']);
    expect(of(two, 'ClusterRole').map(({ metadata }) => metadata.name)).toEqual(['delivery-r-sluice-inspect']);
    expect(of(rendered('rbac.namespaces={a}', 'rbac.inspect=false'), 'ClusterRole')).toEqual([]);
    const wide = rendered('rbac.clusterWide=true');
    expect(of(wide, 'Role')).toEqual([]);
    expect(of(wide, 'ClusterRole')).toHaveLength(2);
    expect(of(rendered('rbac.create=false'), 'Role')).toEqual([]);
  });

  it('rights only for the meshes that are served', () => {
    const [, worker] = of(rendered('meshes={linkerd-smi}'), 'Role') as [Manifest, Manifest];
    const resources = worker.rules.flatMap((rule) => rule.resources);
    expect(resources).toContain('trafficsplits');
    expect(resources).not.toContain('virtualservices');
  });

  it('a change of settings restarts the pods, a change of nothing does not', () => {
    const sum = (objects: Manifest[]): unknown[] =>
      of(objects, 'Deployment').map((d) => podOf(d).metadata.annotations['checksum/config']);
    expect(sum(rendered())).toEqual(sum(rendered()));
    expect(sum(rendered('logLevel=debug'))).not.toEqual(sum(rendered()));
  });

  it('no Redis, no REDIS_URL', () => {
    const names = (objects: Manifest[]): string[] =>
      podOf(of(objects, 'Deployment')[0] as Manifest).spec.containers[0].env.map((v) => v.name);
    expect(names(rendered())).toContain('REDIS_URL');
    expect(names(rendered('queue.backend=postgres'))).not.toContain('REDIS_URL');
  });

  it('Socket Mode asks for its own token in place of the signing secret', () => {
    const slack = (...set: string[]): string[] =>
      podOf(of(rendered('slack.enabled=true', 'slack.channel=C0123ABCD', ...set), 'Deployment')[0] as Manifest)
        .spec.containers[0].env.map((v) => v.name)
        .filter((name) => name.startsWith('SLACK_'));
    expect(slack()).toEqual(['SLACK_BOT_TOKEN', 'SLACK_SIGNING_SECRET']);
    expect(slack('slack.socketMode=true')).toEqual(['SLACK_BOT_TOKEN', 'SLACK_APP_TOKEN']);
  });

  it('only what Slack calls can be let in from outside', () => {
    const [ingress] = of(render(valuesOf('full')), 'Ingress') as [Manifest];
    expect(ingress.spec.rules[0].http.paths.map(({ path, pathType }) => [path, pathType])).toEqual([
      ['/slack/commands', 'Exact'],
      ['/slack/interactions', 'Exact'],
    ]);
  });

  it('the alerts come with their templates untouched', () => {
    const [rule] = of(render(valuesOf('full')), 'PrometheusRule') as [Manifest];
    expect(rule.spec.groups[0].rules.length).toBeGreaterThan(5);
    expect(JSON.stringify(rule)).toContain('{{ $value | humanizeDuration }}');
  });

  it('names fit, however long the release is called', () => {
    for (const { kind, metadata } of render(minimal, 'a-release-with-a-name-as-long-as-helm-allows-it-123'))
      expect(metadata.name.length).toBeLessThanOrEqual(kind.includes('Role') ? 253 : 63);
  });

  it.each([
    ['no Secret named', ['--set', 'rbac.clusterWide=true'], 'existingSecret: name the Secret'],
    ['no namespace named', ['--set', 'existingSecret=x'], 'rbac.namespaces: name the namespaces'],
    ['a misspelt value', [...minimal, '--set', 'replicas=3'], 'not allowed'],
    ['an unknown mesh', [...minimal, '--set', 'meshes={consul}'], 'meshes'],
    ['Slack without a channel', [...minimal, '--set', 'slack.enabled=true'], "slack.channel: the channel's id"],
    [
      'a secret among the values',
      [...minimal, '--set', 'extraEnv[0].name=DATABASE_URL,extraEnv[0].value=postgres://u:p@h/d'],
      'DATABASE_URL is a secret',
    ],
    ['basic auth without a user', [...minimal, '--set', 'prometheus.auth.kind=basic'], 'prometheus.auth.username'],
    ['an ingress without a host', [...minimal, '--set', 'ingress.enabled=true'], 'ingress.host'],
  ])('%s is refused, with what to do', (_, args, message) => {
    expect(refused(args)).toContain(message);
  });
});
