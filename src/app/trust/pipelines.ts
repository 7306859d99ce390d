/**
 * What is known of the pipelines whose id tokens are accepted, one row per maker. Only claims that the maker itself
 * decides are offered to rules, and a rule rests on an id: names are given away and taken again. `sub` is no claim for
 * rules: GitHub has changed what stands in it (2026-07), and it holds names.
 */

export interface Pipeline {
  /** Where its tokens come from unless the policy names an issuer. */
  readonly issuer: string;
  /** Never change and are never given again. A rule names one of them at least. */
  readonly ids: readonly string[];
  /** Say from where within that project. A rule names one of them at least. */
  readonly places: readonly string[];
  /** What else a rule may name. */
  readonly others: readonly string[];
  /** One * stands for any characters; all other claims are compared as they are. */
  readonly patterns: readonly string[];
  /** Of `ids`, the project: every token has it, and it is the caller's identity. */
  readonly project: string;
  /** How the history calls the caller: {claim} is replaced. */
  readonly principal: string;
  /** Claims that such a name may show. */
  readonly shown: readonly string[];
  /**
   * Runs that people outside of the project can bring about although the place is right (a pull request of a fork runs
   * with the ref of its base). Refused where the rule does not name this claim.
   */
  readonly outsiders: { readonly claim: string; readonly values: readonly string[] };
}

export const PIPELINES = {
  github: {
    issuer: 'https://token.actions.githubusercontent.com',
    ids: ['repository_id', 'repository_owner_id'],
    places: ['ref', 'environment', 'job_workflow_ref'],
    others: ['ref_type', 'ref_protected', 'event_name'],
    patterns: ['ref', 'job_workflow_ref'],
    project: 'repository_id',
    principal: 'github {repository} run {run_id} attempt {run_attempt}',
    shown: ['repository', 'repository_id', 'run_id', 'run_number', 'run_attempt', 'actor', 'workflow', 'ref', 'sha'],
    outsiders: { claim: 'event_name', values: ['pull_request', 'pull_request_target'] },
  },
  gitlab: {
    issuer: 'https://gitlab.com',
    ids: ['project_id', 'namespace_id'],
    places: ['ref', 'environment'],
    others: ['ref_type', 'ref_protected', 'pipeline_source'],
    patterns: ['ref'],
    project: 'project_id',
    principal: 'gitlab {project_path} pipeline {pipeline_id} job {job_id}',
    shown: ['project_path', 'project_id', 'pipeline_id', 'job_id', 'user_login', 'ref', 'sha'],
    outsiders: { claim: 'pipeline_source', values: ['merge_request_event', 'external_pull_request_event'] },
  },
} as const satisfies Readonly<Record<string, Pipeline>>;

export type PipelineKind = keyof typeof PIPELINES;
export const PIPELINE_KINDS = Object.keys(PIPELINES) as PipelineKind[];

export const pipelineOf = (kind: PipelineKind): Pipeline => PIPELINES[kind];
export const claimsForRules = ({ ids, places, others }: Pipeline): readonly string[] => [...ids, ...places, ...others];
