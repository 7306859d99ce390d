/** Gateway, Sidecar, ServiceEntry (networking.istio.io) and Telemetry: stored and checked as Istio's CRDs have them. */
import { anything, list, map, number, object, oneOf, type Schema, text, uint32 } from '../schema.ts';

const port = object({ name: text, number: uint32, protocol: text, targetPort: uint32 });
const versions = oneOf('TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3');

const serverTls = object({
  caCertCredentialName: text,
  caCertificates: text,
  caCrl: text,
  cipherSuites: list(text),
  credentialName: text,
  credentialNames: list(text),
  httpsRedirect: { type: 'boolean' },
  maxProtocolVersion: versions,
  minProtocolVersion: versions,
  mode: oneOf('PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'),
  privateKey: text,
  serverCertificate: text,
  subjectAltNames: list(text),
  tlsCertificates: list(object({ caCertificates: text, privateKey: text, serverCertificate: text })),
  verifyCertificateHash: list(text),
  verifyCertificateSpki: list(text),
});

export const gateway: Schema = object({
  spec: object({
    selector: map(text),
    servers: list(
      object(
        {
          bind: text,
          defaultEndpoint: text,
          hosts: list(text),
          name: text,
          port: object({ name: text, number: uint32, protocol: text, targetPort: uint32 }, 'number', 'protocol'),
          tls: serverTls,
        },
        'port',
        'hosts',
      ),
    ),
  }),
  status: anything,
});

const capture = oneOf('DEFAULT', 'IPTABLES', 'NONE');

export const sidecar: Schema = object({
  spec: object({
    egress: list(object({ bind: text, captureMode: capture, hosts: list(text), port }, 'hosts')),
    inboundConnectionPool: anything,
    ingress: list(
      object(
        { bind: text, captureMode: capture, connectionPool: anything, defaultEndpoint: text, port, tls: serverTls },
        'port',
      ),
    ),
    outboundTrafficPolicy: object({
      egressProxy: object({ host: text, port: object({ number: uint32 }), subset: text }, 'host'),
      mode: oneOf('REGISTRY_ONLY', 'ALLOW_ANY'),
    }),
    workloadSelector: object({ labels: map(text) }),
  }),
  status: anything,
});

export const serviceEntry: Schema = object({
  spec: object(
    {
      addresses: list(text),
      endpoints: list(
        object({
          address: text,
          labels: map(text),
          locality: text,
          network: text,
          ports: map(uint32),
          serviceAccount: text,
          weight: uint32,
        }),
      ),
      exportTo: list(text),
      hosts: list(text, { minItems: 1 }),
      location: oneOf('MESH_EXTERNAL', 'MESH_INTERNAL'),
      ports: list(object({ name: text, number: uint32, protocol: text, targetPort: uint32 }, 'number', 'name')),
      resolution: oneOf('NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'),
      subjectAltNames: list(text),
      workloadSelector: object({ labels: map(text) }),
    },
    'hosts',
  ),
  status: anything,
});

const named = list(object({ name: text }, 'name'));
const where = oneOf('CLIENT_AND_SERVER', 'CLIENT', 'SERVER');
const orNull = (schema: Schema): Schema => ({ ...schema, nullable: true });
const flag = orNull({ type: 'boolean' });
const METRICS = [
  'ALL_METRICS',
  'REQUEST_COUNT',
  'REQUEST_DURATION',
  'REQUEST_SIZE',
  'RESPONSE_SIZE',
  'TCP_OPENED_CONNECTIONS',
  'TCP_CLOSED_CONNECTIONS',
  'TCP_SENT_BYTES',
  'TCP_RECEIVED_BYTES',
  'GRPC_REQUEST_MESSAGES',
  'GRPC_RESPONSE_MESSAGES',
];
const target = object({ group: text, kind: text, name: text, namespace: text }, 'kind', 'name');
export const selection = {
  selector: object({ matchLabels: map(text) }),
  targetRef: target,
  targetRefs: list(target),
};

/** telemetry.istio.io */
export const telemetry: Schema = object({
  spec: object({
    ...selection,
    accessLogging: list(
      object({
        disabled: flag,
        filter: object({ expression: text }),
        match: object({ mode: where }),
        providers: named,
      }),
    ),
    metrics: list(
      object({
        overrides: list(
          object({
            disabled: flag,
            match: object({ customMetric: text, metric: oneOf(...METRICS), mode: where }),
            tagOverrides: map(object({ operation: oneOf('UPSERT', 'REMOVE'), value: text })),
          }),
        ),
        providers: named,
        reportingInterval: text,
      }),
    ),
    tracing: list(
      object({
        customTags: map(
          object({
            environment: object({ defaultValue: text, name: text }, 'name'),
            formatter: object({ value: text }, 'value'),
            header: object({ defaultValue: text, name: text }, 'name'),
            literal: object({ value: text }, 'value'),
          }),
        ),
        disableSpanReporting: flag,
        enableIstioTags: flag,
        match: object({ mode: where }),
        providers: named,
        randomSamplingPercentage: orNull({ ...number, minimum: 0, maximum: 100 }),
        useRequestIdForTraceSampling: flag,
      }),
    ),
  }),
  status: anything,
});
