/**
 * Everything that can be answered instead of what was asked for, as RFC 9457 problem details.
 * One table: code -> status, title, what it means, what to do. docs/api.md shows the same table, and a test compares them.
 */

interface Kind {
  readonly status: number;
  readonly title: string;
  /** What the caller can do about it. */
  readonly suggestion: string;
}

export const PROBLEMS = {
  malformed_body: {
    status: 400,
    title: 'The body cannot be parsed',
    suggestion: 'Correct the text at the line and column given.',
  },
  malformed_url: { status: 400, title: 'The URL cannot be decoded', suggestion: 'Percent-encode the path as UTF-8.' },
  invalid_parameter: {
    status: 400,
    title: 'A parameter or header is not valid',
    suggestion: 'GET /openapi.json lists the parameters of every call.',
  },
  unauthenticated: {
    status: 401,
    title: 'A valid API token is needed',
    suggestion: 'Send "Authorization: Bearer slc_..." with a token that has neither expired nor been revoked.',
  },
  forbidden: {
    status: 403,
    title: 'The token may not do this',
    suggestion: 'Use a token with one of the roles named, or ask its owner to act.',
  },
  cross_site: {
    status: 403,
    title: 'The request does not come from the page',
    suggestion:
      'Use the buttons of the page itself; programs send "Authorization: Bearer slc_..." in place of the cookie.',
  },
  not_found: { status: 404, title: 'There is nothing at this path', suggestion: 'GET /openapi.json lists every path.' },
  rollout_not_found: {
    status: 404,
    title: 'There is no such rollout',
    suggestion: 'GET /rollouts lists the rollouts; ended ones are deleted after the retention time.',
  },
  migration_not_found: {
    status: 404,
    title: 'There is no such migration',
    suggestion: 'GET /mesh-migrations lists them; ended ones are deleted after the retention time.',
  },
  delivery_not_found: {
    status: 404,
    title: 'There is no such delivery',
    suggestion: 'GET /deliveries lists them; those of rollouts past the retention are deleted.',
  },
  fleet_not_found: {
    status: 404,
    title: 'There is no such fleet rollout',
    suggestion: 'GET /fleet-rollouts lists them; ended ones are deleted after the retention time.',
  },
  cluster_not_found: {
    status: 404,
    title: 'There is no such cluster',
    suggestion: 'Use one of the names in the detail: those of the configuration.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The path does not know this method',
    suggestion: 'Use one of the methods of the Allow header.',
  },
  rollout_in_progress: {
    status: 409,
    title: 'Another rollout of this target is live',
    suggestion: 'Follow or abort the live rollout, or set onConflict in the plan to join, supersede or queue.',
  },
  migration_in_progress: {
    status: 409,
    title: 'Another migration of this scope is live',
    suggestion: 'Follow or abort the live migration.',
  },
  migration_ended: {
    status: 409,
    title: 'The migration has ended',
    suggestion: 'Start a new one where its outcome is not what you want.',
  },
  not_an_approver: {
    status: 403,
    title: 'Somebody else has to approve this step',
    suggestion: 'Ask one of the people whom the detail names.',
  },
  not_started: {
    status: 409,
    title: 'The rollout has not started',
    suggestion: 'Wait for its first step, or abort it.',
  },
  finished: {
    status: 409,
    title: 'The rollout has ended',
    suggestion: 'Start a new rollout, or retry this one if it did not succeed.',
  },
  rolling_back: {
    status: 409,
    title: 'The rollout is rolling back',
    suggestion: 'Wait for its end: a rollback is never stopped.',
  },
  not_rolling_back: { status: 409, title: 'The rollout is not rolling back', suggestion: 'Abort it first.' },
  not_paused: {
    status: 409,
    title: 'The rollout waits for something else',
    suggestion: 'Promote it: it waits for approval, or for a gate.',
  },
  not_waiting: {
    status: 409,
    title: 'The wave is under way',
    suggestion: 'Wait for its rollouts, or promote those.',
  },
  resume_first: {
    status: 409,
    title: 'The rollout stands still for a reason that a promotion does not end',
    suggestion: 'Read the pause, then resume or abort.',
  },
  not_promoted: {
    status: 409,
    title: 'The rollout was not promoted',
    suggestion: 'Abort it while it is live; one that went back has nothing to take back.',
  },
  rollback_window_passed: {
    status: 409,
    title: 'The time to take it back has passed',
    suggestion: 'Release the old version as a rollout of its own; rollbackWindow in the plan gives more time.',
  },
  promoted_since: {
    status: 409,
    title: 'A later rollout of the object was promoted',
    suggestion: 'Take the later one back first: the detail names it.',
  },
  nothing_to_revert: {
    status: 409,
    title: 'The canary has no traffic to take back',
    suggestion: 'Look at the route; release the old version as a rollout of its own.',
  },
  route_unusable: {
    status: 409,
    title: 'The route cannot be moved as it is',
    suggestion: 'Do what the detail says about the mesh object, then ask again.',
  },
  stable_unavailable: {
    status: 409,
    title: 'The old version does not run',
    suggestion: 'Scale its deployment up, or deploy it again, then ask again.',
  },
  stable_short: {
    status: 409,
    title: 'The old version has too few pods',
    suggestion: 'Scale its deployment up, then ask again; or send force: true.',
  },
  moved_on: { status: 412, title: 'The rollout has moved on', suggestion: 'Read the rollout again and decide anew.' },
  body_too_large: {
    status: 413,
    title: 'The body is too large',
    suggestion: 'Send at most 256 kB, counted after decompression.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The body has a type that is not understood',
    suggestion: 'Send "Content-Type: application/json" or "Content-Type: application/yaml", in UTF-8.',
  },
  unsupported_encoding: {
    status: 415,
    title: 'The body has an encoding that is not understood',
    suggestion: 'Send it plain, or compressed with gzip, deflate, br or zstd.',
  },
  invalid_body: {
    status: 422,
    title: 'The body is not valid',
    suggestion: 'Correct the fields that errors points at.',
  },
  invalid_plan: {
    status: 422,
    title: 'The plan is not valid',
    suggestion: 'Correct the fields that errors points at; GET /schemas/plan.json describes a plan.',
  },
  invalid_migration: {
    status: 422,
    title: 'The migration is not valid',
    suggestion: 'Correct the fields that errors points at.',
  },
  not_importable: {
    status: 422,
    title: 'The documents cannot be carried out as they are',
    suggestion: 'Read notes: add what is missing, or send lenient=true for what the rollout may go without.',
  },
  unsupported_step: {
    status: 422,
    title: 'The mesh cannot carry out a step of the plan',
    suggestion: 'Take the step out, or use a mesh that has the capability: GET /meshes/capabilities.',
  },
  preflight_failed: {
    status: 422,
    title: 'The cluster refuses the plan',
    suggestion: 'Correct what the findings name; ?dryRun=true shows them without starting anything.',
  },
  no_history: {
    status: 422,
    title: 'There is no past to try the plan on',
    suggestion: 'Do what the detail says; the rollout itself needs no past.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'The idempotency key belongs to another request',
    suggestion: 'Send a new Idempotency-Key with a new body; repeat a key only with the same body.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    suggestion: 'Wait for the time in Retry-After; poll with ?wait=30s instead of in a loop.',
  },
  too_many_streams: {
    status: 429,
    title: 'Too many open streams and long polls',
    suggestion: 'Close streams that are no longer read.',
  },
  backtest_busy: {
    status: 429,
    title: 'Too many back-tests',
    suggestion: 'Wait for the time in Retry-After: they are made one after the other.',
  },
  internal: {
    status: 500,
    title: 'Something went wrong in Sluice',
    suggestion: 'Report it with the request id; the log has the rest under that id.',
  },
  store_unavailable: {
    status: 503,
    title: 'The database does not answer',
    suggestion: 'Try again after the time in Retry-After. Rollouts under way are not lost.',
  },
  metrics_unavailable: {
    status: 503,
    title: 'The metrics provider does not answer',
    suggestion: 'Try again after the time in Retry-After.',
  },
  cluster_unreachable: {
    status: 503,
    title: 'The cluster does not answer',
    suggestion:
      'Try again after the time in Retry-After; or send force: true, and it is written once the cluster answers.',
  },
  issuer_unavailable: {
    status: 503,
    title: 'The issuer of the id token does not answer',
    suggestion: 'Try again after the time in Retry-After; API tokens (slc_...) are accepted meanwhile.',
  },
  not_ready: { status: 503, title: 'The server is not ready', suggestion: 'Do what the parts under missing say.' },
} as const satisfies Record<string, Kind>;

export type ProblemCode = keyof typeof PROBLEMS;
export const PROBLEM_CODES = Object.keys(PROBLEMS) as ProblemCode[];

/** One thing that is wrong with the request. Exactly one of pointer, parameter and header says where. */
export interface Fault {
  /** JSON pointer (RFC 6901) into the body; "" is the whole body. */
  readonly pointer?: string;
  /** Name of a path or query parameter. */
  readonly parameter?: string;
  readonly header?: string;
  readonly code: string;
  readonly detail: string;
  /** Place in the body's text, both from 1, where the body has the field. */
  readonly line?: number;
  readonly column?: number;
}

/** A refusal on its way to the caller: a value, so that every call's refusals are listed in its type. */
export interface Refused<C extends ProblemCode = ProblemCode> {
  readonly problem: C;
  readonly detail: string;
  readonly errors?: readonly Fault[];
  readonly suggestion?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further members of the problem document. */
  readonly more?: Readonly<Record<string, unknown>>;
}

export const refuse = <C extends ProblemCode>(
  problem: C,
  detail: string,
  rest: Omit<Refused, 'problem' | 'detail'> = {},
): Refused<C> => ({ problem, detail, ...rest });

export const isRefused = (answer: object): answer is Refused => 'problem' in answer;

export const typeOf = (code: ProblemCode): string => `/problems/${code}`;

/** The problem document. `type` is a path of this server that describes the code. */
export function problemDocument(refused: Refused, requestId: string): Record<string, unknown> {
  const { status, title, suggestion } = PROBLEMS[refused.problem];
  return {
    type: typeOf(refused.problem),
    title,
    status,
    detail: refused.detail,
    code: refused.problem,
    suggestion: refused.suggestion ?? suggestion,
    requestId,
    ...(refused.errors === undefined ? {} : { errors: refused.errors }),
    ...refused.more,
  };
}
