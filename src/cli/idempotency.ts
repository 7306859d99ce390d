/** The key under which a start may be repeated: one rollout per run of the pipeline and plan, however often it is asked for. */
import { randomUUID } from 'node:crypto';
import { hashOf } from '../http/document.ts';
import type { Environment } from './environment.ts';
import { given } from './environment.ts';
import { pipelineOf } from './pipeline.ts';

const LONGEST = 255;

/**
 * The plan is a part of it: one job may start several rollouts, and the jobs of a matrix share a name. Outside a pipeline
 * each call is one of its own, and only its own repeats are found again.
 */
export function idempotencyKey(env: Environment, document: unknown): string {
  const pipeline = pipelineOf(env);
  if (pipeline === null) return `cli:${randomUUID()}`;
  const run = pipeline.parts.map((name) => encodeURIComponent(given(env, name) ?? '')).join(':');
  const key = `${pipeline.name}:${run}:${hashOf(document).slice(0, 16)}`;
  return key.length <= LONGEST ? key : `${pipeline.name}:${hashOf(key)}`;
}
