/** From the domain to the wire. Pure. */
import type { KeptHealth, KeptTraces, MeshWrite, StoredFact, StoredMeasurement } from '../app/ports.ts';
import type { Finding, OutsideLinks } from '../app/usecases.ts';
import { asksWho, givenAt, ruleAt, whoMay } from '../domain/approval.ts';
import type { JudgedBlock, Ledger } from '../domain/evidence/ledger.ts';
import type { Finding as EvidenceFinding } from '../domain/evidence/verdict.ts';
import { gatesBefore, stepAhead } from '../domain/gates.ts';
import { guardKey, guardsOf } from '../domain/guard.ts';
import { type Instant, meshObjectOf } from '../domain/plan.ts';
import type { Outcome, Rollout } from '../domain/rollout.ts';
import { desiredWeight, statusOf, stepOf } from '../domain/rollout.ts';
import type {
  EvidenceBlockBody,
  EvidenceSetupBody,
  FactBody,
  FindingBody,
  HealthBody,
  MeasurementBody,
  RolloutBody,
  TraceListBody,
  WriteBody,
} from './schemas.ts';

const timeOf = (at: Instant): string => new Date(at).toISOString();
const timeOrNull = (at: Instant | null): string | null => (at === null ? null : timeOf(at));

/** A path under the public URL; the bare path where none is configured. */
export const urlOf = (path: string, publicUrl: string | undefined): string =>
  `${(publicUrl ?? '').replace(/\/+$/, '')}${path}`;

export const linkOf = (id: string, publicUrl: string | undefined, part = ''): string =>
  urlOf(`/rollouts/${id}${part === '' ? '' : `/${part}`}`, publicUrl);

export const etagOf = (rollout: Pick<Rollout, 'version'>): string => `"${rollout.version}"`;

/** One rollout as callers see it; `outside`: pages of other tools that show it. */
export function present(rollout: Rollout, publicUrl?: string, outside?: OutsideLinks): RolloutBody {
  const { id, plan, phase, meshTrouble } = rollout;
  const { cluster, namespace, service, mesh } = plan.target;
  const standing = phase.name === 'progressing' || phase.name === 'paused';
  const link = (part?: string): string => linkOf(id, publicUrl, part);
  return {
    id,
    status: statusOf(rollout),
    step: stepOf(rollout),
    steps: plan.steps.length,
    weight: {
      wanted: desiredWeight(rollout),
      observed: rollout.observedWeight,
      share: rollout.observedShare === null ? null : Math.round(rollout.observedShare * 10_000) / 100,
    },
    target: { cluster, namespace, service, mesh, object: meshObjectOf(plan.target) },
    labels: { ...plan.labels },
    reverts: rollout.reverts ?? null,
    fleet: rollout.fleet?.id ?? null,
    pause: phase.name === 'paused' ? { cause: phase.cause, message: phase.message, since: timeOf(phase.since) } : null,
    awaiting: phase.name === 'paused' && phase.cause === 'approval' && phase.go === null ? 'approval' : null,
    ...presentApproval(rollout),
    outcome: phase.name === 'rolling_back' || phase.name === 'ended' ? presentOutcome(phase.outcome) : null,
    ...presentGates(rollout),
    checks: watched(rollout).map(({ name, failureLimit }) => {
      const tally = rollout.tallies[name];
      return {
        name,
        verdict: tally?.last ?? null,
        consecutiveFailures: tally?.consecutiveFailures ?? 0,
        failureLimit,
        reason: tally?.lastReason ?? '',
      };
    }),
    evidence: presentJudgement(rollout),
    trouble:
      meshTrouble === null
        ? null
        : { code: meshTrouble.code, message: meshTrouble.message, since: timeOf(meshTrouble.since) },
    createdAt: timeOf(rollout.createdAt),
    createdBy: rollout.createdBy,
    endedAt: phase.name === 'ended' ? timeOf(phase.at) : null,
    reachedAt: standing ? timeOrNull(phase.reachedAt) : null,
    progressPercent: progressOf(rollout),
    version: rollout.version,
    links: {
      self: link(),
      events: link('events'),
      measurements: link('measurements'),
      writes: link('writes'),
      evidence: link('evidence'),
      plan: link('plan'),
      traces: link('traces'),
      ...(outside?.kiali == null ? {} : { kiali: { ...outside.kiali } }),
      ...(outside?.jaeger == null ? {} : { jaeger: { ...outside.jaeger } }),
      ...(outside?.grafana == null ? {} : { grafana: { ...outside.grafana } }),
    },
  };
}

/** The checks, then the guards: what has a verdict of its own. */
const watched = (rollout: Rollout): readonly { readonly name: string; readonly failureLimit: number }[] => [
  ...rollout.plan.analysis.checks,
  ...guardsOf(rollout).map(({ name, failureLimit }) => ({ name: guardKey(name), failureLimit })),
];

function presentApproval(rollout: Rollout): Pick<RolloutBody, 'approval'> {
  const { phase, startedBy } = rollout;
  const standing = phase.name === 'progressing' || phase.name === 'paused';
  const rule = standing && phase.go === null ? ruleAt(rollout, phase.step) : null;
  if (rule === null) return {};
  return {
    approval: {
      who: whoMay(rule),
      required: rule.required,
      given: givenAt(rollout).map(({ actor, at }) => ({ by: actor, at: timeOf(at) })),
      approvers: [...rule.approvers],
      notBy: rule.notBy === undefined ? [] : [...(startedBy?.persons ?? [])],
      byPerson: asksWho(rule),
    },
  };
}

function presentGates(rollout: Rollout): Pick<RolloutBody, 'gates'> {
  const to = stepAhead(rollout);
  const asked = to === null ? [] : gatesBefore(rollout, to);
  const gates = asked.flatMap(({ id, webhook, tally }) => {
    if (tally === null) return [];
    const { decision, message, since, asked, waivedBy } = tally;
    const deadline = timeOf(since + webhook.deadline);
    return [{ name: webhook.name, question: id, decision, message, since: timeOf(since), asked, deadline, waivedBy }];
  });
  return gates.length === 0 ? {} : { gates };
}

function presentJudgement({ plan, judgement }: Rollout): RolloutBody['evidence'] {
  const { evidence } = plan.analysis;
  if ((evidence ?? null) === null) return null;
  return {
    mode: evidence?.mode ?? 'auto',
    provider: judgement?.provider ?? evidence?.provider ?? '',
    since: timeOrNull(judgement?.began ?? null),
    finding: judgement?.finding == null ? null : presentEvidence(judgement.finding),
    blind:
      judgement?.blindSince == null ? null : { since: timeOf(judgement.blindSince), reason: judgement.blindReason },
  };
}

export const presentEvidence = (f: EvidenceFinding): FindingBody => ({
  verdict: f.verdict,
  code: f.code,
  evidence: f.evidence,
  needed: f.needed,
  safety: f.safety,
  safetyNeeded: f.safetyNeeded,
  atLeast: f.atLeast,
  canary: { ...f.canary },
  stable: { ...f.stable },
  sentence: f.sentence,
});

export const presentBlock = ({ at, weight, block, finding }: JudgedBlock): EvidenceBlockBody => ({
  index: block.index,
  at: timeOf(at),
  weight,
  fromMs: block.from,
  toMs: block.to,
  share: block.share > 0 ? block.share : null,
  groups: block.groups.map(({ canary, stable }) => ({
    canary: { ...canary, slow: [...canary.slow] },
    stable: { ...stable, slow: [...stable.slow] },
  })),
  ...presentEvidence(finding),
});

export const presentSetup = ({ setup, source }: Ledger): EvidenceSetupBody => ({
  words: setup.words,
  provider: setup.provider,
  view: source.view,
  countedBy: source.provider,
  mode: setup.pace.mode,
  blockMs: setup.pace.block,
  warmUpMs: setup.pace.warmUp,
  boundsMs: [...setup.settings.bounds],
  calibration:
    setup.calibration === null
      ? null
      : {
          trials: setup.calibration.trials,
          rolledBack: setup.calibration.rolledBack,
          passed: setup.calibration.passed,
          pods: setup.calibration.pods,
          pastMs: setup.calibration.past,
        },
  settings: { ...setup.settings },
});

const presentOutcome = (outcome: Outcome): RolloutBody['outcome'] => ({
  code: outcome.code,
  message: outcome.message,
  check: outcome.check ?? null,
  observed: outcome.observed ?? null,
  threshold: outcome.threshold ?? null,
  step: outcome.step,
  weight: outcome.weight,
});

/** Steps whose weight is in force, the promotion counted as one; a rollout that turned back stays where it was. */
function progressOf(rollout: Rollout): number {
  const { phase, plan } = rollout;
  if (phase.name === 'pending') return 0;
  if (phase.name === 'ended' && phase.status === 'succeeded') return 100;
  const reached = (phase.name === 'progressing' || phase.name === 'paused') && phase.reachedAt !== null ? 1 : 0;
  return Math.min(99, Math.floor((100 * (phase.step + reached)) / (plan.steps.length + 1)));
}

export const presentFact = (fact: StoredFact): FactBody => ({
  seq: fact.seq,
  at: timeOf(fact.at),
  type: fact.type,
  actor: fact.actor,
  step: fact.step,
  message: fact.message,
  data: { ...fact.data },
  traceId: fact.traceId,
});

export const presentMeasurement = (m: StoredMeasurement): MeasurementBody => ({
  seq: m.seq,
  at: timeOf(m.at),
  step: m.step,
  check: m.check,
  verdict: m.verdict,
  code: m.code,
  reason: m.reason,
  value: m.value,
  samples: m.samples,
  stableValue: m.stableValue,
  stableSamples: m.stableSamples,
  threshold: m.threshold,
  windowMs: m.window,
  query: m.query,
  stableQuery: m.stableQuery,
});

export const presentWrite = (w: MeshWrite): WriteBody => ({
  at: timeOf(w.at),
  object: w.object,
  generation: w.generation,
  canaryWeight: w.canaryWeight,
  before: w.before,
  result: w.result,
  message: w.message,
  tookMs: w.tookMs,
  traceId: w.traceId,
});

/** `began`: the rollout was on its way back once; `asked`: its cluster has tracing. */
export function presentTraces(
  { traces, search, waiting }: KeptTraces,
  { began, asked }: { readonly began: boolean; readonly asked: boolean },
  health: HealthBody | null,
): TraceListBody {
  const [state, message] = stateOfTraces(search, waiting, began, asked);
  return {
    state,
    message,
    searched:
      search === null
        ? null
        : { at: timeOf(search.at), from: timeOf(search.from), to: timeOf(search.to), link: search.link },
    health,
    items: traces.map(({ at, duration, ...trace }) => ({ ...trace, at: timeOf(at), durationMs: duration })),
  };
}

/** `began`, `asked`: as for traces. */
export function presentHealth(
  { snapshot, waiting }: KeptHealth,
  { began, asked }: { readonly began: boolean; readonly asked: boolean },
): HealthBody {
  const none = (state: HealthBody['state'], message: string): HealthBody => ({
    state,
    message,
    at: null,
    service: null,
    canary: null,
    link: null,
  });
  if (snapshot !== null) {
    const { result, at, ...said } = snapshot;
    return { ...said, state: result, at: timeOf(at) };
  }
  if (waiting) return none('waiting', 'Kiali is asked now');
  if (!began) return none('no_rollback', 'the rollout was not rolled back: nothing was asked');
  return asked
    ? none('not_asked', 'no Kiali was known for this cluster when the rollout was rolled back')
    : none('not_configured', 'no Kiali is known for this cluster (SLUICE_KIALI_URL), or it does not show this mesh');
}

function stateOfTraces(
  search: KeptTraces['search'],
  waiting: boolean,
  began: boolean,
  asked: boolean,
): readonly [TraceListBody['state'], string] {
  if (search !== null) return [search.result, search.message];
  if (waiting) return ['waiting', 'it is looked for traces for a minute after the rollback began: they arrive late'];
  if (!began) return ['no_rollback', 'the rollout was not rolled back: nothing was looked for'];
  if (!asked) return ['not_configured', 'no Jaeger is known for this cluster (SLUICE_JAEGER_URL)'];
  return ['not_asked', 'no Jaeger was known for this cluster when the rollout was rolled back'];
}

export const presentFinding = ({ check, level, message, evidence, remediation, ignored }: Finding) => ({
  check,
  level,
  message,
  ...(evidence === undefined ? {} : { evidence: copied(evidence) }),
  ...(remediation === undefined ? {} : { remediation }),
  ...(ignored === undefined ? {} : { ignored }),
});

type EvidenceValue = string | number | boolean | null | (string | number | boolean)[];
const copied = (evidence: NonNullable<Finding['evidence']>): Record<string, EvidenceValue> =>
  Object.fromEntries(
    Object.entries(evidence).map(([name, value]) => [
      name,
      typeof value === 'object' && value !== null ? [...value] : value,
    ]),
  );
