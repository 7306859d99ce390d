/** Which pipeline this is, if it is one. */
import type { Environment } from './environment.ts';
import { given } from './environment.ts';

export interface Pipeline {
  readonly name: string;
  readonly parts: readonly string[];
  readonly wanted: string;
}

/** What names one attempt of one job; a job that is run anew by a person has another. */
const PIPELINES: readonly Pipeline[] = [
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

/** null: this is no pipeline that is known. */
export const pipelineOf = (env: Environment): Pipeline | null =>
  PIPELINES.find(({ wanted }) => given(env, wanted) !== undefined) ?? null;

/** What the server's audit tells the command line by. */
export function userAgent(version: string, env: Environment): string {
  const pipeline = pipelineOf(env);
  return `sluice-cli/${version}${pipeline === null ? '' : ` (ci ${pipeline.name})`}`;
}
