/** Shapes on the wire. Each has a name, under which the OpenAPI document shares it. Times are RFC 3339 in UTC. */
import { z } from 'zod';
import { DELIVERY_STATES, SUBJECT_KINDS } from '../app/deliveries.ts';
import { FACT_TYPES, TERMINAL } from '../domain/rollout.ts';

interface Meta {
  readonly id?: string;
  readonly description?: string;
  [further: string]: unknown;
}
/** A registry of our own: the global one would mix these names with those of the plan. */
export const components = z.registry<Meta>();

export const named = <T extends z.ZodType>(id: string, description: string, schema: T): T => {
  components.add(schema, { id, description });
  return schema;
};
/** A copy is described: fields may share a schema, and each says something else. */
export const described = <T extends z.ZodType>(description: string, schema: T): T => {
  const own = schema.clone();
  components.add(own, { description });
  return own;
};

export const STATUSES = ['pending', 'progressing', 'paused', 'rolling_back', ...TERMINAL] as const;

const time = z.iso.datetime();
const percent = z.number().min(0).max(100);

export const meshObjectSchema = described(
  'Name of the mesh object whose weights move. The scope of a caller wants it among its services, beside `service`.',
  z.string().nullable(),
);

const status = named(
  'Status',
  'succeeded, rolled_back, aborted, superseded and failed are terminal and never renamed. failed means only that the stable version could not be restored and a person is needed.',
  z.enum(STATUSES),
);

const outcome = named(
  'Outcome',
  'Why a rollout ended, or why it is on its way back.',
  z.object({
    code: described(
      'promoted, check_failed, guard_failed, no_data, canary_unready, preflight, starting_point, not_in_force, deadline, aborted, superseded, given_up and others.',
      z.string(),
    ),
    message: described('One sentence with the numbers that decided.', z.string()),
    check: z.string().nullable(),
    observed: described(
      'error-rate: ratio from 0 to 1; latency: milliseconds; prometheus: the value of the query.',
      z.number().nullable(),
    ),
    threshold: described('The limit that decided, in the unit of observed.', z.number().nullable()),
    step: described('Index of the step at which it was decided.', z.int()),
    weight: described('Canary weight in percent at which it was decided.', percent),
  }),
);

const links = z.object({
  self: z.string(),
  events: z.string(),
  measurements: z.string(),
  writes: z.string(),
  evidence: z.string(),
  plan: z.string(),
  traces: z.string(),
  kiali: described(
    'Pages of Kiali; absent: none is known for the cluster, or it does not show this mesh.',
    z
      .object({
        graph: described('How the traffic of the namespace is divided in fact.', z.string()),
        service: z.string(),
        canary: described("The canary's workload.", z.string()),
        traces: z.string(),
        object: described('The mesh object that is moved.', z.string()),
      })
      .optional(),
  ),
  jaeger: described(
    'Pages of Jaeger; absent: none is known for the cluster.',
    z
      .object({
        search: described('Traces with errors in the time of the rollout.', z.string()),
        trace: described(
          'Address of any trace, to which its id (`traceId` of a fact or a write) is added.',
          z.string(),
        ),
      })
      .optional(),
  ),
  grafana: described(
    'A dashboard of Grafana; absent: none is configured for the cluster.',
    z.object({ dashboard: described('With the rollout and its time in its variables.', z.string()) }).optional(),
  ),
});

const versionCounts = z.object({ requests: z.number(), errors: z.number() });

const evidenceFields = {
  verdict: described(
    'bad: rolls back. suspicious: the weight is held. safe: may be promoted. undecided: goes on, and is never promoted because of it.',
    z.enum(['bad', 'suspicious', 'safe', 'undecided']),
  ),
  code: z.string(),
  evidence: described('Against a healthy canary, valid at any look; rolled back from needed on.', z.number()),
  needed: z.number(),
  safety: described('Against a bad canary; promoted from safetyNeeded on.', z.number()),
  safetyNeeded: z.number(),
  atLeast: described(
    "Lower bound of how many times the stable's the canary's frequency is; null: none proven.",
    z.number().nullable(),
  ),
  canary: described("Since the canary's first traffic.", versionCounts),
  stable: versionCounts,
  sentence: z.string(),
};
export const findingSchema = named(
  'EvidenceFinding',
  'What the comparison of canary and stable says.',
  z.object(evidenceFields),
);
export type FindingBody = z.input<typeof findingSchema>;

export const rolloutSchema = named(
  'Rollout',
  'One rollout.',
  z.object({
    id: z.string(),
    status,
    step: described(
      'Index of the present step, from 0; equal to steps while traffic goes to 100 %; null before the first.',
      z.int().nullable(),
    ),
    steps: described('Number of steps in the plan.', z.int()),
    weight: z.object({
      wanted: described(
        'Canary weight in percent that the mesh is to have now; null: Sluice leaves the object alone.',
        percent.nullable(),
      ),
      observed: described('Canary weight in percent last read from the mesh; null: never read.', z.number().nullable()),
      share: described(
        'Share of requests in percent that the canary was measured to get; null: not measurable.',
        z.number().nullable(),
      ),
    }),
    target: z.object({
      cluster: z.string(),
      namespace: z.string(),
      service: z.string(),
      mesh: z.string(),
      object: meshObjectSchema,
    }),
    labels: z.record(z.string(), z.string()),
    fleet: described('Id of the fleet rollout that started it; null: none.', z.string().nullable()),
    reverts: described('Id of the promoted rollout that this one takes back; null: none.', z.string().nullable()),
    pause: described(
      'Why it stands still; null: it does not.',
      z.object({ cause: z.string(), message: z.string(), since: time }).nullable(),
    ),
    awaiting: described('approval: a person must promote it for it to go on.', z.enum(['approval']).nullable()),
    approval: described(
      'Whose word the present step waits for, where the plan says so and it is not there yet; absent: no such step.',
      z
        .object({
          who: described('Whose, in words.', z.string()),
          required: described('How many different people.', z.int()),
          given: described('Words so far.', z.array(z.object({ by: z.string(), at: time }))),
          approvers: described(
            'Groups, of one of which they must be; empty: anybody who may promote.',
            z.array(z.string()),
          ),
          notBy: described(
            'Names of the person who may not: whoever started it. Empty: nobody is kept from it.',
            z.array(z.string()),
          ),
          byPerson: described('It must be known which person a caller is.', z.boolean()),
        })
        .optional(),
    ),
    outcome: outcome.nullable(),
    gates: described(
      'Webhooks before the next step that were asked; absent: none was.',
      z
        .array(
          z.object({
            name: z.string(),
            question: described('Id of the question: the same at each attempt.', z.string()),
            decision: described(
              'The last answer; null: none yet. unavailable: no answer, or one that makes no sense.',
              z.enum(['approve', 'refuse', 'wait', 'unavailable']).nullable(),
            ),
            message: z.string(),
            since: described('When its word was first wanted.', time),
            asked: described('So many times.', z.int()),
            deadline: described('When its time is over.', time),
            waivedBy: described('Who went on past it; null: nobody.', z.string().nullable()),
          }),
        )
        .optional(),
    ),
    // Guards are among them under `guard:<name>`, and so they are shown wherever checks are.
    checks: z.array(
      z.object({
        name: z.string(),
        verdict: described(
          'Last evaluation at the present step; null: none yet. unknown, of guards only: nothing here can tell.',
          z.enum(['pass', 'fail', 'inconclusive', 'error', 'unknown']).nullable(),
        ),
        consecutiveFailures: z.int(),
        failureLimit: described('Consecutive failures that roll back; of a guard: that make it act.', z.int()),
        reason: z.string(),
      }),
    ),
    evidence: described(
      'The comparison of canary and stable; null: the plan wants none.',
      z
        .object({
          mode: described(
            'As the plan has it; what auto chose is in GET /rollouts/{id}/evidence (setup.mode).',
            z.enum(['auto', 'robust', 'independent']),
          ),
          provider: described('Metrics provider that counts.', z.string()),
          since: described('When the canary first had a weight in force.', time.nullable()),
          finding: described('After the last block; null: none was judged yet.', findingSchema.nullable()),
          blind: described(
            'Why nothing can be heard now; null: it can.',
            z.object({ since: time, reason: z.string() }).nullable(),
          ),
        })
        .nullable(),
    ),
    trouble: described(
      'Present trouble with the mesh object; null: none.',
      z.object({ code: z.string(), message: z.string(), since: time }).nullable(),
    ),
    createdAt: time,
    createdBy: z.string(),
    endedAt: time.nullable(),
    reachedAt: described("When the present step's weight was read back: its hold counts from here.", time.nullable()),
    progressPercent: described('Way to the promotion; 100 only when succeeded.', percent),
    version: described('Rises with every change; the ETag.', z.int()),
    links,
  }),
);
export type RolloutBody = z.input<typeof rolloutSchema>;

const nextCursor = described(
  'Send it as ?cursor= to get the next page; null: this is the last.',
  z.string().nullable(),
);

export const rolloutListSchema = named(
  'RolloutList',
  'Rollouts, newest first.',
  z.object({ items: z.array(rolloutSchema), nextCursor }),
);

const side = z.object({
  requests: z.number(),
  errors: z.number(),
  timed: described('Successful responses whose latency was measured.', z.number()),
  slow: described('Of these, those slower than each of boundsMs.', z.array(z.number())),
});
export const evidenceBlockSchema = named(
  'EvidenceBlock',
  'What was counted in one block, by groups of pods, and what the evidence then said.',
  z.object({
    index: z.int(),
    at: time,
    weight: described('Canary weight in percent at which it was counted.', percent),
    fromMs: described("Since the canary's first traffic.", z.number()),
    toMs: z.number(),
    share: described(
      'Part of the requests that the canary was to get; null: not known, so not judged.',
      z.number().nullable(),
    ),
    groups: z.array(z.object({ canary: side, stable: side })),
    ...evidenceFields,
  }),
);
export type EvidenceBlockBody = z.input<typeof evidenceBlockSchema>;

export const evidenceSetupSchema = named(
  'EvidenceSetup',
  'How both versions are compared: fixed before the rollout started.',
  z.object({
    words: z.string(),
    provider: described('Metrics provider that was to count.', z.string()),
    countedBy: described('Metrics provider that counted last.', z.string()),
    view: described("The provider's view of the requests.", z.string().nullable()),
    mode: z.enum(['robust', 'independent']),
    blockMs: z.number(),
    warmUpMs: z.number(),
    boundsMs: z.array(z.number()),
    calibration: described(
      "The A/A check over the stable's past; null: there was none to look at.",
      z
        .object({ trials: z.int(), rolledBack: z.int(), passed: z.boolean(), pods: z.int(), pastMs: z.number() })
        .nullable(),
    ),
    settings: described('All settings of the judge, for a replay.', z.record(z.string(), z.unknown())),
  }),
);
export type EvidenceSetupBody = z.input<typeof evidenceSetupSchema>;

export const evidenceListSchema = named(
  'EvidenceList',
  'Blocks, the oldest first.',
  z.object({ setup: evidenceSetupSchema.nullable(), items: z.array(evidenceBlockSchema), nextCursor }),
);

const traceId = described(
  "Trace of the step in the service's own tracing, 32 hexadecimal digits; null: the step was not traced.",
  z.string().nullable(),
);

export const factSchema = named(
  'Fact',
  'Something that happened.',
  z.object({
    seq: described('From 1 without gaps within the rollout; the event id of the live stream.', z.int()),
    at: time,
    type: z.enum(FACT_TYPES),
    actor: z.string(),
    step: z.int().nullable(),
    message: z.string(),
    data: z.record(z.string(), z.unknown()),
    traceId,
  }),
);
export type FactBody = z.input<typeof factSchema>;

export const factListSchema = named(
  'FactList',
  'Facts in order.',
  z.object({
    items: z.array(factSchema),
    nextAfter: described(
      'Send it as ?after= to get the next page; null: these are all there are now.',
      z.int().nullable(),
    ),
  }),
);

const measurementSchema = named(
  'Measurement',
  'One evaluation of one check, or of a guard (guard:<name>).',
  z.object({
    seq: z.int(),
    at: time,
    step: z.int(),
    check: z.string(),
    verdict: z.string(),
    code: described(
      'within, above_max, below_min, above_stable, too_few_samples, share_off, unreached, no_data and others.',
      z.string(),
    ),
    reason: z.string(),
    value: z.number().nullable(),
    samples: described('Requests behind the value.', z.number().nullable()),
    stableValue: z.number().nullable(),
    stableSamples: z.number().nullable(),
    threshold: z.number().nullable(),
    windowMs: described('Look-back in milliseconds.', z.number()),
    query: described('As it can be pasted into Prometheus.', z.string()),
    stableQuery: z.string().nullable(),
  }),
);
export type MeasurementBody = z.input<typeof measurementSchema>;
export const measurementListSchema = named(
  'MeasurementList',
  'Measurements in order.',
  z.object({ items: z.array(measurementSchema), nextCursor }),
);

const writeSchema = named(
  'MeshWrite',
  'One write to the mesh object, or one attempt.',
  z.object({
    at: time,
    object: z.string(),
    generation: z.int(),
    canaryWeight: percent,
    before: z.number().nullable(),
    result: z.enum(['applied', 'conflict', 'superseded', 'trouble']),
    message: z.string(),
    tookMs: z.number(),
    traceId,
  }),
);
export type WriteBody = z.input<typeof writeSchema>;
export const writeListSchema = named(
  'MeshWriteList',
  'Writes to the mesh in order.',
  z.object({ items: z.array(writeSchema), nextCursor }),
);

const objectHealth = described(
  'As Kiali saw it; rates in requests per second, of the last minute. null: it knew no such object, or was not asked.',
  z
    .object({
      name: z.string(),
      requests: z.number(),
      failed: z.number(),
      pods: z.object({ wanted: z.number(), available: z.number() }).nullable(),
      status: described("Kiali's own verdict; null: it gave none (Kiali 1).", z.string().nullable()),
      message: z.string(),
    })
    .nullable(),
);

const healthSchema = z.object({
  state: described(
    'taken; unknown: Kiali answered and knew neither; could_not_ask: it gave no answer within a minute; waiting, not_asked, not_configured, no_rollback: there is none.',
    z.enum(['taken', 'unknown', 'could_not_ask', 'waiting', 'not_asked', 'not_configured', 'no_rollback']),
  ),
  message: z.string(),
  at: described('When it was asked; null: it was not.', time.nullable()),
  service: objectHealth,
  canary: objectHealth,
  link: described('The service in Kiali; null: not asked.', z.string().nullable()),
});
export type HealthBody = z.input<typeof healthSchema>;

export const traceListSchema = named(
  'TraceList',
  'Failing traces of the canary, kept at its rollback.',
  z.object({
    state: described(
      'found; none_sampled: none was among those that were traced, which does not say that none failed; could_not_ask: Jaeger gave no answer; waiting: it is still looked; not_asked, not_configured, no_rollback: nothing was looked for.',
      z.enum(['found', 'none_sampled', 'could_not_ask', 'waiting', 'not_asked', 'not_configured', 'no_rollback']),
    ),
    message: z.string(),
    searched: described(
      'The last look; null: not yet, or never.',
      z.object({ at: time, from: time, to: time, link: described('The search in Jaeger.', z.string()) }).nullable(),
    ),
    health: described(
      'How Kiali saw service and canary at the rollback; null with ?now=true.',
      healthSchema.nullable(),
    ),
    items: z.array(
      z.object({
        traceId: z.string(),
        at: described("When the canary's first failed span began.", time),
        service: z.string(),
        operation: z.string(),
        status: described('"HTTP 503", "gRPC 14", "error".', z.string()),
        durationMs: z.number(),
        knownBy: described(
          "What told that the span is the canary's: pod, upstream_cluster or istio.canonical_revision.",
          z.string(),
        ),
        summary: z.string(),
        link: described('The trace in Jaeger.', z.string()),
      }),
    ),
  }),
);
export type TraceListBody = z.input<typeof traceListSchema>;

const scalar = z.union([z.string(), z.number(), z.boolean()]);

export const finding = named(
  'Finding',
  'One finding of the preflight.',
  z.object({
    check: z.string(),
    level: z.enum(['pass', 'warn', 'fail', 'unknown']),
    message: z.string(),
    evidence: described(
      'Values that it rests on, for programs; which ones depends on the check.',
      z.record(z.string(), z.union([scalar, z.null(), z.array(scalar)])).optional(),
    ),
    remediation: described('What to do; only where something is wrong.', z.string().optional()),
    ignored: described(
      'By policy it is only shown: it neither refuses a rollout nor is recorded with it.',
      z.literal(true).optional(),
    ),
  }),
);

const proxyKind = z.enum(['istio', 'linkerd']);

export const meshSchema = named(
  'Mesh',
  'A mesh as it stands in a cluster. What is null could not be told, and a finding says why.',
  z.object({
    cluster: z.string(),
    mesh: z.string(),
    proxy: described('Whose proxies carry the routes out.', proxyKind),
    namespace: described(
      'The namespace that was looked at; null: only what concerns the whole cluster.',
      z.string().nullable(),
    ),
    controlPlane: described('Namespace of the control plane.', z.string()),
    installed: z.boolean().nullable(),
    version: described("The control plane's; where two run, the newer.", z.string().nullable()),
    profile: described('Of Istio: minimal, default or demo.', z.string().nullable()),
    findings: z.array(finding),
  }),
);
export type MeshBody = z.input<typeof meshSchema>;

export const metricsProvidersSchema = named(
  'MetricsProviders',
  'Where checks and comparisons get their numbers from.',
  z.object({
    items: z.array(
      z.object({
        cluster: z.string(),
        provider: z.string(),
        answers: z.boolean(),
        wrong: described('What is wrong; null: it answers.', z.string().nullable()),
      }),
    ),
  }),
);
export type MetricsProvidersBody = z.input<typeof metricsProvidersSchema>;

const fault = named(
  'Fault',
  'One thing that is wrong with the request. One of pointer, parameter and header says where.',
  z.object({
    pointer: described('JSON pointer into the body.', z.string().optional()),
    parameter: z.string().optional(),
    header: z.string().optional(),
    code: z.string(),
    detail: z.string(),
    line: described("Line in the body's text, from 1.", z.int().optional()),
    column: z.int().optional(),
  }),
);

export const importSchema = named(
  'Import',
  'What was made of documents of Flagger or Argo Rollouts: every field of theirs, and what they do not say.',
  z.object({
    notes: z.array(
      z.object({
        source: z.object({
          document: described('Index of the document among those sent, from 0.', z.int()),
          kind: z.string(),
          name: z.string(),
          pointer: described('JSON pointer.', z.string()),
          line: described('From 1, in the text that was sent; null: not known.', z.int().nullable()),
        }),
        verdict: described(
          'maps: it means the same. differs: it becomes something that behaves otherwise. unsupported: it is lost. ignored: it has no part in a rollout.',
          z.enum(['maps', 'differs', 'unsupported', 'ignored']),
        ),
        message: z.string(),
        blocks: described(
          'Without it the rollout would be less safe: it is started only with lenient=true.',
          z.boolean(),
        ),
      }),
    ),
    questions: described(
      'What stands in the plan until somebody says better.',
      z.array(
        z.object({
          pointer: described('JSON pointer into the plan.', z.string()),
          assumed: described('null: nothing stands there.', z.string().nullable()),
          message: z.string(),
        }),
      ),
    ),
  }),
);
export type ImportBody = z.input<typeof importSchema>;

export const problemSchema = named(
  'Problem',
  'RFC 9457. code is stable and for programs; detail and suggestion are for people.',
  z.object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    suggestion: z.string(),
    requestId: z.string(),
    errors: z.array(fault).optional(),
    findings: described('preflight_failed: what the cluster said.', z.array(finding).optional()),
    rollout: described(
      'The rollout that stands in the way, or that has moved on.',
      z.object({ id: z.string(), status, step: z.int().nullable(), version: z.int(), link: z.string() }).optional(),
    ),
    missing: described(
      'not_ready: what is missing and what to do.',
      z.array(z.object({ part: z.string(), message: z.string() })).optional(),
    ),
    notes: described('not_importable: what became of every field.', importSchema.shape.notes.optional()),
    questions: described('not_importable: what the documents do not say.', importSchema.shape.questions.optional()),
    import: described(
      'A plan that was made of other documents is refused: what was made of them.',
      importSchema.optional(),
    ),
  }),
);

const attempt = z.object({
  attempt: described('Counts from 1, over resends too.', z.int()),
  at: time,
  tookMs: z.number(),
  status: described('Of HTTP; null: no answer.', z.int().nullable()),
  delivered: z.boolean(),
  message: described("Why it was not delivered; '' where it was.", z.string()),
  excerpt: described("The beginning of the answer's body; '' of addresses that plans name.", z.string()),
});
export const deliverySchema = named(
  'Delivery',
  'One message for one channel, and what became of it. Never the address, nor any secret.',
  z.object({
    id: z.string(),
    channel: described(
      'A name of the configuration; slack; or after: the webhooks of plans that are told of the end.',
      z.string(),
    ),
    about: described(
      'What it tells of: a rollout, a fleet rollout (fleet) or a migration of mTLS.',
      z.object({ kind: z.enum(SUBJECT_KINDS), id: z.string() }),
    ),
    rollout: described('Its id, where it tells of a rollout.', z.string().nullable()),
    state: described('dead: given up after three days; it can be sent again.', z.enum(DELIVERY_STATES)),
    event: described('The fact that is told.', z.object({ seq: z.int(), type: z.string(), message: z.string() })),
    attempts: z.int(),
    createdAt: time,
    nextAttemptAt: time.nullable(),
    deliveredAt: time.nullable(),
    deadAt: time.nullable(),
    lastError: z.string().nullable(),
    log: described(
      'The last 20 attempts, the oldest first. Attempts to tell Slack are only counted.',
      z.array(attempt),
    ),
    links: z.object({ about: z.string(), resend: z.string() }),
  }),
);
export const deliveryListSchema = named(
  'DeliveryList',
  'Deliveries, newest first.',
  z.object({
    items: z.array(deliverySchema),
    nextCursor,
  }),
);

export type DeliveryBody = z.input<typeof deliverySchema>;
