/** Analyses of a Rollout, in the background or as a step -> checks of the plan. */
import type { Millis } from '../../../domain/plan.ts';
import type { Checks } from '../checks.ts';
import { clamped, DAY, HOUR, MINUTE, SECOND, written } from '../durations.ts';
import type { Field, Reading } from '../field.ts';
import type { PlanDocument } from '../note.ts';
import { argumentsOf } from './arguments.ts';
import type { Judging } from './metric.ts';
import { metricCheck } from './metric.ts';
import type { ArgoTarget } from './target.ts';

export interface Analyses {
  /** Makes checks of it. The time that it takes there, where it ends. */
  take(analysis: Field): Millis;
  /** `analysis` of the plan. */
  plan(): PlanDocument | null;
  /** Was it named by an analysis? */
  isNamed(template: Reading): boolean;
}

const TEMPLATES: ReadonlySet<string> = new Set(['AnalysisTemplate', 'ClusterAnalysisTemplate']);
export const isTemplate = ({ kind }: Reading): boolean => TEMPLATES.has(kind);

export function analyses(rollout: Field, readings: readonly Reading[], target: ArgoTarget, checks: Checks): Analyses {
  const judging: Judging = { intervals: [], patiences: [], delays: [] };
  const named = new Set<Reading>();

  const takeTemplates = (refs: Field, given: Field, dry: readonly string[], seen: readonly Reading[]): Millis => {
    let longest = 0;
    for (const ref of refs.items()) {
      const template = find(ref, readings);
      // Templates may name one another in a circle.
      if (template === undefined || seen.includes(template)) continue;
      named.add(template);
      const spec = template.root.at('spec');
      const args = argumentsOf(given, spec.at('args'), rollout);
      const dryHere = [...dry, ...dryRuns(spec.at('dryRun'))];
      spec.at('measurementRetention').ignored('Sluice keeps every measurement');
      for (const metric of spec.at('metrics').items()) {
        if (isDry(metric, dryHere)) metric.ignored('a dry run: it decides nothing there either');
        else longest = Math.max(longest, metricCheck(metric, { target, args, checks, judging }));
      }
      longest = Math.max(longest, takeTemplates(spec.at('templates'), given, dryHere, [...seen, template]));
    }
    return longest;
  };

  return {
    take(analysis) {
      analysis.at('measurementRetention').ignored('Sluice keeps every measurement');
      analysis.at('analysisRunMetadata').ignored('there are no AnalysisRuns');
      // Of what no template asks for too.
      argumentsOf(analysis.at('args'), analysis.at('none'), rollout);
      return takeTemplates(analysis.at('templates'), analysis.at('args'), dryRuns(analysis.at('dryRun')), []);
    },
    plan: () => planOf(judging, checks),
    isNamed: (template) => named.has(template),
  };
}

function find(ref: Field, readings: readonly Reading[]): Reading | undefined {
  const kind = ref.at('clusterScope').flag() ? 'ClusterAnalysisTemplate' : 'AnalysisTemplate';
  const name = ref.at('templateName').text() ?? '';
  const found = readings.find((reading) => reading.kind === kind && reading.name === name);
  if (found === undefined) ref.blocks(`the ${kind} ${name} was not given: give its file too`);
  else ref.maps(`the metrics of ${kind} ${name}`);
  return found;
}

const dryRuns = (list: Field): readonly string[] => {
  list.ignored('those metrics are left out: they decide nothing there either');
  return list.items().flatMap((item) => item.at('metricName').text() ?? []);
};

const isDry = (metric: Field, dry: readonly string[]): boolean => {
  const name = metric.at('name').text() ?? '';
  return dry.some((pattern) => pattern === name || pattern === '*');
};

function planOf({ intervals, patiences, delays }: Judging, checks: Checks): PlanDocument | null {
  const list = checks.list();
  if (list.length === 0) return null;
  return {
    ...(intervals.length === 0 ? {} : { interval: written(clamped(Math.min(...intervals), SECOND, HOUR)) }),
    ...(delays.length === 0 ? {} : { settle: written(clamped(Math.max(...delays), SECOND, 10 * MINUTE)) }),
    noData: { patience: written(clamped(Math.max(...patiences), 5 * MINUTE, DAY)), then: 'rollback' },
    checks: list,
  };
}
