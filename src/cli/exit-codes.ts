/**
 * How a command ends, as a number: the only table. A pipeline tells by it whether to go on, and never has to read text.
 * `sluice help exit-codes` and docs/cli.md show this table; numbers are never given a new meaning.
 */
import type { TerminalStatus } from '../domain/rollout.ts';
import type { ProblemCode } from '../http/problem.ts';

export const EXIT_CODES = {
  done: { code: 0, when: 'Done. While waiting: the rollout has succeeded.' },
  error: {
    code: 1,
    when: 'Something else: an answer that makes no sense, a bug, a server that is not ready (doctor), or whose metrics do not answer (plan backtest).',
  },
  usage: { code: 2, when: 'Wrong command, option or setting. Nothing was sent.' },
  rolled_back: { code: 3, when: 'The rollout was rolled back: all traffic is on the stable version.' },
  aborted: { code: 4, when: 'The rollout was aborted by a person, or superseded by another one.' },
  timed_out: { code: 5, when: 'The wait is over (--timeout), the rollout goes on.' },
  paused: { code: 6, when: 'The rollout is paused and waits for a person (only with --exit-when-paused).' },
  stuck: {
    code: 7,
    when: 'The stable version could not be restored (failed), or a rollback could not be written until --timeout: a person is needed now.',
  },
  unauthorised: { code: 8, when: 'The token is missing, unknown, expired, revoked, or has not the role (401, 403).' },
  conflict: {
    code: 9,
    when: 'Something stands in the way: a live rollout of the target, or the rollout has moved on (409, 412).',
  },
  unreachable: { code: 10, when: 'The server did not answer. Rollouts go on without it being reachable from here.' },
  refused: {
    code: 11,
    when: 'The plan is not valid, or the preflight refuses it: nothing was started. A check of the mesh fails (mesh).',
  },
  not_found: {
    code: 12,
    when: 'There is no such rollout, fleet rollout, migration or delivery; no such cluster (mesh). A plan that names an unknown cluster is not valid: 11.',
  },
  not_offered: { code: 13, when: 'The server has no such call: it is older than this command.' },
  tampered: {
    code: 14,
    when: 'The audit is not as it was written: the message names the first row (audit verify). A verdict is not what its blocks give: the message names the first block (replay).',
  },
  interrupted: { code: 130, when: 'Interrupted by Ctrl-C (SIGINT); 143 by SIGTERM. The rollout goes on.' },
  terminated: { code: 143, when: 'Ended by SIGTERM. The rollout goes on.' },
} as const satisfies Readonly<Record<string, { readonly code: number; readonly when: string }>>;

export type Ending = keyof typeof EXIT_CODES;

/** How waiting for a rollout that has ended ends. */
export const ENDING_OF_STATUS = {
  succeeded: 'done',
  rolled_back: 'rolled_back',
  aborted: 'aborted',
  superseded: 'aborted',
  failed: 'stuck',
} as const satisfies Readonly<Record<TerminalStatus, Ending>>;

/** How a refusal of the server ends the command. */
export const ENDING_OF_PROBLEM: Readonly<Record<ProblemCode, Ending>> = {
  malformed_body: 'refused',
  malformed_url: 'usage',
  invalid_parameter: 'usage',
  unauthenticated: 'unauthorised',
  forbidden: 'unauthorised',
  not_an_approver: 'unauthorised',
  cross_site: 'unauthorised',
  not_found: 'not_offered',
  rollout_not_found: 'not_found',
  cluster_not_found: 'not_found',
  migration_not_found: 'not_found',
  fleet_not_found: 'not_found',
  delivery_not_found: 'not_found',
  method_not_allowed: 'not_offered',
  rollout_in_progress: 'conflict',
  migration_in_progress: 'conflict',
  migration_ended: 'conflict',
  not_started: 'conflict',
  finished: 'conflict',
  rolling_back: 'conflict',
  not_rolling_back: 'conflict',
  not_paused: 'conflict',
  resume_first: 'conflict',
  not_waiting: 'conflict',
  not_promoted: 'conflict',
  rollback_window_passed: 'conflict',
  promoted_since: 'conflict',
  nothing_to_revert: 'conflict',
  route_unusable: 'conflict',
  stable_unavailable: 'conflict',
  stable_short: 'conflict',
  moved_on: 'conflict',
  body_too_large: 'refused',
  unsupported_media_type: 'error',
  unsupported_encoding: 'error',
  invalid_body: 'refused',
  invalid_plan: 'refused',
  invalid_migration: 'refused',
  not_importable: 'refused',
  unsupported_step: 'refused',
  preflight_failed: 'refused',
  idempotency_key_reused: 'conflict',
  rate_limited: 'unreachable',
  too_many_streams: 'unreachable',
  no_history: 'refused',
  backtest_busy: 'unreachable',
  // The server itself has answered.
  metrics_unavailable: 'error',
  cluster_unreachable: 'unreachable',
  internal: 'error',
  store_unavailable: 'unreachable',
  issuer_unavailable: 'unreachable',
  not_ready: 'unreachable',
};

/** A newer server may know more codes: then the class of the status says enough. */
export function endingOfProblem(code: string | null, status: number): Ending {
  if (code !== null && Object.hasOwn(ENDING_OF_PROBLEM, code)) return ENDING_OF_PROBLEM[code as ProblemCode];
  if (status === 401 || status === 403) return 'unauthorised';
  if (status === 409 || status === 412) return 'conflict';
  if (status === 422) return 'refused';
  return status === 502 || status === 503 || status === 504 ? 'unreachable' : 'error';
}
