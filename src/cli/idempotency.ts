/** The key under which a start may be repeated: one rollout per run of the pipeline and plan, however often it is asked for. */
import { randomUUID } from 'node:crypto';
import { hashOf } from '../http/document.ts';
import type { Environment } from './environment.ts';
import { given } from './environment.ts';

/** What names one attempt of one job; a job that is run anew by a person has another. */
const PIPELINES: readonly { readonly name: string; readonly parts: readonly string[]; readonly wanted: string }[] = [
  {
    name: 'gha',
    wanted: 'GITHUB_RUN_ID',
    parts: ['GITHUB_REPOSITORY_ID', 'GITHUB_RUN_ID', 'GITHUB_RUN_ATTEMPT', 'GITHUB_JOB'],
  },
  { name: 'gitlab', wanted: 'CI_JOB_ID', parts: ['CI_PROJECT_ID', 'CI_JOB_ID'] },
  { name: 'buildkite', wanted: 'BUILDKITE_JOB_ID', parts: ['BUILDKITE_JOB_ID'] },
  { name: 'circle', wanted: 'CIRCLE_WORKFLOW_JOB_ID', parts: ['CIRCLE_WORKFLOW_JOB_ID'] },
  { name: 'jenkins', wanted: 'BUILD_TAG', parts: ['BUILD_TAG'] },
];

const LONGEST = 255;

/**
 * The plan is a part of it: one job may start several rollouts, and the jobs of a matrix share a name. Outside a pipeline
 * each call is one of its own, and only its own repeats are found again.
 */
export function idempotencyKey(env: Environment, document: unknown): string {
  const pipeline = PIPELINES.find(({ wanted }) => given(env, wanted) !== undefined);
  if (pipeline === undefined) return `cli:${randomUUID()}`;
  const run = pipeline.parts.map((name) => encodeURIComponent(given(env, name) ?? '')).join(':');
  const key = `${pipeline.name}:${run}:${hashOf(document).slice(0, 16)}`;
  return key.length <= LONGEST ? key : `${pipeline.name}:${hashOf(key)}`;
}
