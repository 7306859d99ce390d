import { type CheckResult, defineCheck, type Surroundings, Unread } from '../check.ts';
import { meshConfigOf } from '../istio/mesh-config.ts';
import { listIn, orUnread, TELEMETRIES } from '../istio/objects.ts';
import { pass, warn } from '../istio/results.ts';
import { type MeshDefaults, meshDefaults, type Tracing, tracingOf } from '../istio/telemetry.ts';
import { versionsOf } from '../istio/workloads.ts';
import { lists } from '../kinds.ts';

/** Throws Unread. */
const defaultsOf = async (around: Surroundings): Promise<MeshDefaults> => meshDefaults(await meshConfigOf(around));

const lines = (namespace: string, provider: string): string =>
  [
    'Apply, with a provider of meshConfig.extensionProviders:',
    'apiVersion: telemetry.istio.io/v1',
    'kind: Telemetry',
    `metadata: { name: tracing, namespace: ${namespace} }`,
    'spec:',
    `  tracing: [{ providers: [{ name: ${provider} }], randomSamplingPercentage: 1 }]`,
  ].join('\n');

/** `defaults`: Unread where the ConfigMap may not be read. Throws it where nothing else decides. */
function judged(namespace: string, found: Tracing, defaults: MeshDefaults | Unread): CheckResult {
  const known = defaults instanceof Unread ? null : defaults;
  const object = found.from[0] === undefined ? null : `Telemetry ${found.from.join(', ')}`;
  const field = 'spec.tracing';
  if (found.disabled)
    return warn(
      `${object} has ${field}[].disableSpanReporting: true for namespace ${namespace}: no proxy reports a span`,
      { object, field: `${field}[].disableSpanReporting`, sampling: found.sampling },
      `Remove ${field}[].disableSpanReporting of ${object}`,
    );
  // Which provider counts where none is named, and how much is sampled, only the mesh's configuration tells.
  if (defaults instanceof Unread && (found.providers.length === 0 || found.sampling === null)) throw defaults;
  const providers = found.providers.length > 0 ? found.providers : (known?.providers ?? []);
  const sampling = found.sampling ?? known?.sampling ?? 0;
  const evidence = { object, field, providers, sampling };
  const unknown = known === null ? [] : found.providers.filter((name) => !known.known.includes(name));
  if (unknown.length > 0)
    return warn(
      `${object} names the tracing provider ${unknown.join(', ')} in ${field}[].providers, which meshConfig.extensionProviders does not have (it has ${known?.known.join(', ') || 'none'}): no span is reported`,
      { ...evidence, field: `${field}[].providers` },
      `Add ${unknown.join(', ')} to meshConfig.extensionProviders in ConfigMap istio, or name one that is there`,
    );
  const legacy = known?.address === true && known.enabled;
  if (providers.length === 0 && !legacy)
    return warn(
      `no tracing provider is set for namespace ${namespace}: neither in ${field} of a Telemetry nor in meshConfig.defaultProviders.tracing. A rollback can then show no trace of a failing request`,
      evidence,
      lines(namespace, known?.known[0] ?? 'jaeger'),
    );
  if (sampling <= 0)
    return warn(
      `traces of namespace ${namespace} are sampled at 0 % (${object === null ? 'meshConfig.defaultConfig.tracing.sampling' : `${object}, ${field}[].randomSamplingPercentage`}): none is recorded`,
      { ...evidence, field: `${field}[].randomSamplingPercentage` },
      object === null
        ? lines(namespace, providers[0] ?? 'jaeger')
        : `Set ${field}[].randomSamplingPercentage of ${object}: 1 or more`,
    );
  const by = providers.length === 0 ? 'meshConfig.defaultConfig.tracing' : `provider ${providers.join(', ')}`;
  return pass(
    `traces of namespace ${namespace} go to ${by}, ${sampling} % of the requests${sampling < 100 ? ': where no failing trace is found, none may have been sampled' : ''}`,
    evidence,
  );
}

export default defineCheck({
  name: 'tracing',
  about: 'No tracing provider is set, or nothing is sampled: a rollback can show no trace of a failing request.',
  meshes: ['istio', 'gateway-api'],
  scope: 'namespace',
  // The mesh's configuration is read where this service was given the right to list ConfigMaps of the control plane.
  rbac: lists(TELEMETRIES),
  async run(around) {
    const { namespace, controlPlane, target } = around;
    if (namespace === null || around.proxy !== 'istio') return [];
    const [own, wide, defaults, versions] = await Promise.all([
      listIn(around, TELEMETRIES, [namespace]),
      orUnread(listIn(around, TELEMETRIES, [controlPlane])),
      orUnread(defaultsOf(around)),
      target === null ? null : orUnread(versionsOf(around, target)),
    ]);
    const labels = versions === null || versions instanceof Unread ? null : versions.canary.labels;
    const seen = wide instanceof Unread || namespace === controlPlane ? own : [...own, ...wide];
    const found = tracingOf(seen, namespace, controlPlane, labels);
    if (wide instanceof Unread && (found.providers.length === 0 || found.sampling === null)) throw wide;
    return [judged(namespace, found, defaults)];
  },
});
