/** VirtualService and DestinationRule (networking.istio.io): the fields of the current API, closed as in Istio's CRDs. */
import {
  anything,
  flag,
  int32,
  list,
  map,
  number,
  object,
  oneOf,
  orNull,
  type Schema,
  text,
  uint32,
} from '../schema.ts';

const match = object({ exact: text, prefix: text, regex: text });
const port = object({ number: uint32 });
const destination = object({ host: text, port, subset: text }, 'host');
const headerEdits = object({ add: map(text), remove: list(text), set: map(text) });
const headers = object({ request: headerEdits, response: headerEdits });
const percent = object({ value: { ...number, format: 'double' } });

const cors = object({
  allowCredentials: orNull(flag),
  allowHeaders: list(text),
  allowMethods: list(text),
  allowOrigin: list(text),
  allowOrigins: list(match),
  exposeHeaders: list(text),
  maxAge: text,
  unmatchedPreflights: oneOf('UNSPECIFIED', 'FORWARD', 'IGNORE'),
});

const fault = object({
  abort: object({ grpcStatus: text, http2Error: text, httpStatus: int32, percentage: percent }),
  delay: object({ exponentialDelay: text, fixedDelay: text, percent: int32, percentage: percent }),
});

const httpMatch = object({
  authority: match,
  gateways: list(text),
  headers: map(match),
  ignoreUriCase: flag,
  method: match,
  name: text,
  port: uint32,
  queryParams: map(match),
  scheme: match,
  sourceLabels: map(text),
  sourceNamespace: text,
  statPrefix: text,
  uri: match,
  withoutHeaders: map(match),
});

const retries = object({
  attempts: int32,
  backoff: text,
  perTryTimeout: text,
  retryIgnorePreviousHosts: orNull(flag),
  retryOn: text,
  retryRemoteLocalities: orNull(flag),
});

const http = object({
  corsPolicy: cors,
  delegate: object({ name: text, namespace: text }),
  directResponse: object({ body: object({ bytes: text, string: text }), status: uint32 }, 'status'),
  fault,
  headers,
  match: list(httpMatch),
  mirror: destination,
  mirrorPercent: orNull(uint32),
  mirrorPercentage: percent,
  mirror_percent: orNull(uint32),
  mirrors: list(object({ destination, percentage: percent }, 'destination')),
  name: text,
  redirect: object({
    authority: text,
    derivePort: oneOf('FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'),
    port: uint32,
    prefixRewrite: text,
    redirectCode: uint32,
    scheme: text,
    uri: text,
  }),
  retries,
  rewrite: object({ authority: text, uri: text, uriRegexRewrite: object({ match: text, rewrite: text }) }),
  route: list(object({ destination, headers, weight: int32 }, 'destination')),
  timeout: text,
});

const l4 = {
  destinationSubnets: list(text),
  gateways: list(text),
  port: uint32,
  sourceLabels: map(text),
  sourceNamespace: text,
};
const l4Route = list(object({ destination, weight: int32 }, 'destination'));

export const virtualService: Schema = object({
  spec: object({
    exportTo: list(text),
    gateways: list(text),
    hosts: list(text),
    http: list(http),
    tcp: list(object({ match: list(object({ ...l4, sourceSubnet: text })), route: l4Route })),
    tls: list(object({ match: list(object({ ...l4, sniHosts: list(text) }, 'sniHosts')), route: l4Route }, 'match')),
  }),
  status: anything,
});

const connectionPool = object({
  http: object({
    h2UpgradePolicy: oneOf('DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'),
    http1MaxPendingRequests: int32,
    http2KeepAlive: object({ interval: text, timeout: text }),
    http2MaxRequests: int32,
    idleTimeout: text,
    maxConcurrentStreams: int32,
    maxRequestsPerConnection: int32,
    maxRetries: int32,
    useClientProtocol: flag,
  }),
  tcp: object({
    connectTimeout: text,
    idleTimeout: text,
    maxConnectionDuration: text,
    maxConnections: int32,
    tcpKeepalive: object({ interval: text, probes: uint32, time: text }),
  }),
});

const failover = list(object({ from: text, to: text }));
const ring = object({ minimumRingSize: { type: 'integer', minimum: 0 } });

const loadBalancer = object({
  consistentHash: object({
    httpCookie: object(
      { attributes: list(object({ name: text, value: text }, 'name')), name: text, path: text, ttl: text },
      'name',
    ),
    httpHeaderName: text,
    httpQueryParameterName: text,
    maglev: object({ tableSize: { type: 'integer', minimum: 0 } }),
    minimumRingSize: { type: 'integer', minimum: 0 },
    ringHash: ring,
    useSourceIp: flag,
  }),
  localityLbSetting: object({
    distribute: list(object({ from: text, to: map(uint32) })),
    enabled: orNull(flag),
    failover,
    failoverPriority: list(text),
  }),
  simple: oneOf('UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'),
  warmup: object({ aggression: orNull(number), duration: text, minimumPercent: orNull(number) }, 'duration'),
  warmupDurationSecs: text,
});

const outlierDetection = object({
  baseEjectionTime: text,
  consecutive5xxErrors: orNull(uint32),
  consecutiveErrors: int32,
  consecutiveGatewayErrors: orNull(uint32),
  consecutiveLocalOriginFailures: orNull(uint32),
  interval: text,
  maxEjectionPercent: int32,
  minHealthPercent: int32,
  outlierDetectionHttpErrorCodes: list({ type: 'integer', minimum: 100, maximum: 599 }),
  splitExternalLocalOriginErrors: flag,
});

const tls = object({
  caCertificates: text,
  caCrl: text,
  clientCertificate: text,
  credentialName: text,
  insecureSkipVerify: orNull(flag),
  mode: oneOf('DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'),
  privateKey: text,
  sni: text,
  subjectAltNames: list(text),
});

const perPort = { connectionPool, loadBalancer, outlierDetection, tls };
const trafficPolicy = object({
  ...perPort,
  portLevelSettings: list(object({ ...perPort, port })),
  proxyProtocol: object({ version: oneOf('V1', 'V2') }),
  retryBudget: object({ budgetInterval: text, minRetryConcurrency: uint32, percent: orNull(number) }),
  tunnel: object({ protocol: text, targetHost: text, targetPort: uint32 }, 'targetHost', 'targetPort'),
});

export const destinationRule: Schema = object({
  spec: object(
    {
      exportTo: list(text),
      host: text,
      subsets: list(object({ labels: map(text), name: text, trafficPolicy }, 'name')),
      trafficPolicy,
      workloadSelector: object({ matchLabels: map(text) }),
    },
    'host',
  ),
  status: anything,
});
