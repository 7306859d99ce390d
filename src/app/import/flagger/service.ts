/** What a Canary says of Services and routes: Flagger has made them, and Sluice moves what is there. */
import type { Field } from '../field.ts';
import { applyRules } from '../field.ts';

export function serviceNotes(service: Field, object: string, apex: string): void {
  const made = `the Services ${apex}, ${apex}-primary and ${apex}-canary exist already; Sluice makes none: keep them`;
  const kept = `stands in the ${object} that Flagger made; Sluice moves its weights and nothing else: keep it, and change this there from now on`;
  applyRules(service, [
    {
      fields: [
        'port',
        'portName',
        'targetPort',
        'appProtocol',
        'trafficDistribution',
        'portDiscovery',
        'headless',
        'apex',
        'primary',
        'canary',
        'unmanagedMetadata',
      ],
      verdict: 'ignored',
      message: made,
    },
    {
      fields: [
        'hosts',
        'gateways',
        'gatewayRefs',
        'delegation',
        'match',
        'rewrite',
        'retries',
        'timeout',
        'backendTimeout',
        'headers',
        'corsPolicy',
        'mirror',
      ],
      verdict: 'differs',
      message: kept,
    },
    {
      fields: ['trafficPolicy'],
      verdict: 'differs',
      message: `stands in the DestinationRules ${apex}-primary and ${apex}-canary that Flagger made: keep them, and change this there from now on`,
    },
    {
      fields: ['meshName', 'backends'],
      verdict: 'blocks',
      message: 'of AWS App Mesh, which Sluice does not move',
    },
  ]);
}
