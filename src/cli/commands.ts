/** Every command, in the order of the help: what parses, helps and completes. `loaders.ts` has the code of each. */
import { AUDIT_ACTIONS } from '../app/audit/act.ts';
import type { ArgumentSpec, CommandSpec, OptionSpec } from './command.ts';

const STATUSES = [
  'pending',
  'progressing',
  'paused',
  'rolling_back',
  'succeeded',
  'rolled_back',
  'aborted',
  'superseded',
  'failed',
];

const FLEET_STATUSES = ['running', 'baking', 'paused', 'rolling_back', 'succeeded', 'rolled_back', 'aborted', 'failed'];
const MIGRATION_STATUSES = [
  'pending',
  'guarding',
  'paused',
  'strict',
  'rolling_back',
  'succeeded',
  'rolled_back',
  'aborted',
  'failed',
];

export const GLOBAL: readonly OptionSpec[] = [
  { name: 'url', value: 'URL', summary: 'address of the server (SLUICE_URL)' },
  { name: 'token-file', value: 'FILE', summary: 'file with the API token; - is standard input (SLUICE_TOKEN)' },
  {
    name: 'oidc-audience',
    value: 'TEXT',
    summary: 'in GitHub Actions: an id token for this audience (SLUICE_OIDC_AUDIENCE)',
  },
  { name: 'context', value: 'NAME', summary: 'context of the configuration file (SLUICE_CONTEXT)' },
  { name: 'no-color', summary: 'no colours (NO_COLOR)' },
  { name: 'help', short: 'h', summary: 'help for the command' },
];
export const OUTPUT: OptionSpec = {
  name: 'output',
  short: 'o',
  value: 'FORMAT',
  oneOf: ['json', 'yaml', 'name'],
  summary: 'json, yaml or name (ids only) on standard output',
};

const TIMEOUT: OptionSpec = {
  name: 'timeout',
  value: 'TIME',
  summary: 'stop waiting after this, like 30m (exit code 5)',
};
const PATIENCE: OptionSpec = {
  name: 'patience',
  value: 'TIME',
  summary: 'how long a server that has not answered yet is tried (1m)',
};
const WAITING: readonly OptionSpec[] = [
  TIMEOUT,
  { name: 'exit-when-paused', summary: 'stop waiting when a person is needed (exit code 6)' },
  {
    name: 'on-interrupt',
    value: 'WHAT',
    oneOf: ['leave', 'abort'],
    summary: 'what Ctrl-C and SIGTERM do to the rollout: leave (default) or abort',
  },
  PATIENCE,
];
const EXPECTED: OptionSpec = {
  name: 'expected-step',
  value: 'INDEX',
  summary:
    'refuse (exit code 9) unless it stands at this step: the field step of -o json, which counts from 0 ("step 1 of 3" is 0)',
};
const REASON: OptionSpec = { name: 'reason', value: 'TEXT', summary: 'why, for the history, the audit and for people' };
const FIELD: OptionSpec = {
  name: 'set',
  value: 'PATH=VALUE',
  multiple: true,
  summary: 'replace a field of the plan, like labels.image=myapp:2.1 or steps.0.hold=5m; repeatable',
};
const SET: readonly OptionSpec[] = [
  FIELD,
  {
    name: 'label',
    value: 'KEY=VALUE',
    multiple: true,
    summary: 'add a label, whatever characters the key has; repeatable',
  },
];

/** For a group of commands as a whole. */
export const GROUPS: Readonly<Record<string, string>> = {
  plan: 'check a plan before it runs',
  fleet: 'one plan through several clusters, in waves',
  migration: 'mTLS from PERMISSIVE to STRICT',
};

const STARTING: readonly OptionSpec[] = [
  { name: 'idempotency-key', value: 'KEY', summary: 'instead of the one made from the pipeline' },
  { name: 'wait', summary: 'wait for the end (default)' },
  { name: 'no-wait', summary: 'end as soon as it is accepted' },
  { name: 'watch', short: 'w', summary: 'the live tree, where there is a terminal' },
  ...WAITING,
];
const WATCHING: readonly OptionSpec[] = [
  { name: 'watch', short: 'w', summary: 'the live tree; plain lines where there is no terminal' },
  ...WAITING,
];
const SINCE: OptionSpec = {
  name: 'since',
  value: 'TIME',
  summary: 'within this time (1h) or since then (2026-01-31T12:00:00Z)',
};
const LIVE: OptionSpec = { name: 'live', summary: 'only those that have not ended' };
const LIMIT: OptionSpec = { name: 'limit', value: 'N', summary: 'at most so many (50)' };
const status = (oneOf: readonly string[]): OptionSpec => ({
  name: 'status',
  value: 'STATUS',
  multiple: true,
  oneOf,
  summary: 'only these; repeatable, or with commas',
});
const CLUSTER: OptionSpec = { name: 'cluster', value: 'NAME', summary: 'only this cluster' };
const NAMESPACE: OptionSpec = { name: 'namespace', short: 'n', value: 'NAME', summary: 'only this namespace' };
const BACK: readonly OptionSpec[] = [
  {
    name: 'give-up',
    summary: 'a person has taken over a way back that cannot be written: it ends as failed (role admin)',
  },
  { name: 'wait', summary: 'wait until it is back (exit code 0)' },
  TIMEOUT,
  PATIENCE,
];
const EXPECTED_WAVE: OptionSpec = {
  name: 'expected-wave',
  value: 'INDEX',
  summary: 'refuse (exit code 9) unless it stands at this wave: the field wave of -o json, from 0',
};

const LIVE_ID: ArgumentSpec = { name: 'ID', complete: 'live' };
const ANY_ID: ArgumentSpec = { name: 'ID', complete: 'ids' };
const FLEET: ArgumentSpec = { name: 'ID', complete: 'fleets' };
const LIVE_FLEET: ArgumentSpec = { name: 'ID', complete: 'live fleets' };
const MIGRATION: ArgumentSpec = { name: 'ID', complete: 'migrations' };
const LIVE_MIGRATION: ArgumentSpec = { name: 'ID', complete: 'live migrations' };
const PLAN: ArgumentSpec = { name: 'PLAN.yaml', complete: 'files' };
const ALL = ['json', 'yaml', 'name'] as const;
const DOCUMENT = ['json', 'yaml'] as const;

export const COMMANDS: readonly CommandSpec[] = [
  {
    name: 'run',
    args: [PLAN],
    summary: 'start a rollout and wait for its end',
    details: [
      'The plan is JSON or YAML; - reads it from standard input. Prints one line per change, and at the end the sentence that tells why.',
      'A repeat within one run of a pipeline finds the rollout that the first attempt started. The Idempotency-Key is made of the plan and',
      'GITHUB_RUN_ID (with attempt and job), CI_JOB_ID, BUILDKITE_JOB_ID, CIRCLE_WORKFLOW_JOB_ID or BUILD_TAG.',
    ],
    examples: [
      'sluice run plan.yaml --set labels.image=myapp:2.1 --timeout 1h',
      'ID=$(sluice run plan.yaml --no-wait -o name)',
    ],
    options: [...SET, ...STARTING],
    outputs: ALL,
  },
  {
    name: 'get',
    args: [ANY_ID],
    summary: 'show one rollout; --watch follows it to its end',
    examples: ['sluice get ro_9mTfVbBgCtw8jQ0y --watch', 'sluice get ro_9mTfVbBgCtw8jQ0y -o json | jq .weight'],
    options: WATCHING,
    outputs: ALL,
  },
  {
    name: 'wait',
    args: [ANY_ID],
    summary: 'wait for the end of a rollout, with the exit codes of run',
    examples: [
      'sluice wait ro_9mTfVbBgCtw8jQ0y --timeout 30m',
      'sluice wait ro_9mTfVbBgCtw8jQ0y --timeout 0s   # how is it now?',
    ],
    options: WAITING,
    outputs: ALL,
  },
  {
    name: 'list',
    args: [],
    summary: 'list rollouts, newest first',
    examples: ['sluice list --live', 'sluice list --service myapp --status rolled_back,failed --since 7d'],
    options: [
      LIVE,
      status(STATUSES),
      CLUSTER,
      NAMESPACE,
      { name: 'service', value: 'NAME', summary: 'only this service' },
      { name: 'since', value: 'TIME', summary: 'started within this time (7d) or since then (2026-01-31T12:00:00Z)' },
      LIMIT,
    ],
    outputs: ALL,
  },
  {
    name: 'explain',
    args: [ANY_ID],
    summary: 'why it stands where it stands, with the numbers, and what to do next',
    examples: ['sluice explain ro_9mTfVbBgCtw8jQ0y'],
    options: [],
    outputs: DOCUMENT,
  },
  {
    name: 'replay',
    args: [ANY_ID],
    summary: 'compute the verdicts of the comparison again, from the blocks that were counted',
    details: [
      'Reads every block and the settings, puts them through the judge that this command has, and holds verdict, evidence and sentence after each block',
      'against what the server recorded. Ends with 14 and the first block that gives something else; with 0 where there is no comparison, and says so.',
    ],
    examples: ['sluice replay ro_9mTfVbBgCtw8jQ0y', 'sluice replay ro_9mTfVbBgCtw8jQ0y -o json | jq .finding'],
    options: [],
    outputs: DOCUMENT,
  },
  {
    name: 'summary',
    args: [ANY_ID],
    summary: 'one rollout as Markdown, for the page of a pipeline: why, then a table of steps and verdicts',
    examples: ['sluice summary ro_9mTfVbBgCtw8jQ0y > rollout.md'],
    options: [],
    outputs: DOCUMENT,
  },
  {
    name: 'history',
    args: [ANY_ID],
    summary: 'everything that happened, and who did it',
    examples: ['sluice history ro_9mTfVbBgCtw8jQ0y', 'sluice history ro_9mTfVbBgCtw8jQ0y --since 1h -o json'],
    options: [SINCE],
    outputs: DOCUMENT,
  },
  {
    name: 'promote',
    args: [LIVE_ID],
    summary: 'go on to the next step now, without the rest of the hold',
    examples: ['sluice promote ro_9mTfVbBgCtw8jQ0y', 'sluice promote ro_9mTfVbBgCtw8jQ0y --full'],
    options: [{ name: 'full', summary: 'straight to 100 %, past the steps that are left' }, REASON, EXPECTED],
    outputs: ALL,
  },
  {
    name: 'pause',
    args: [LIVE_ID],
    summary: 'stay at the present weight; the canary is judged on',
    examples: ['sluice pause ro_9mTfVbBgCtw8jQ0y --reason "looking at the carts"'],
    options: [REASON, EXPECTED],
    outputs: ALL,
  },
  {
    name: 'resume',
    args: [LIVE_ID],
    summary: 'end a pause',
    examples: ['sluice resume ro_9mTfVbBgCtw8jQ0y'],
    options: [REASON, EXPECTED],
    outputs: ALL,
  },
  {
    name: 'abort',
    args: [LIVE_ID],
    summary: 'all traffic back to the stable version',
    examples: ['sluice abort ro_9mTfVbBgCtw8jQ0y --reason "wrong image" --wait'],
    options: [
      REASON,
      EXPECTED,
      {
        name: 'give-up',
        summary: 'a person has taken over a rollback that cannot be written: it ends as failed (role admin)',
      },
      { name: 'wait', summary: 'wait until the stable version has all traffic (exit code 0)' },
      TIMEOUT,
      PATIENCE,
    ],
    outputs: ALL,
  },
  {
    name: 'retry',
    args: [ANY_ID],
    summary: 'try a stuck rollout again now, or start an ended one anew',
    examples: ['sluice retry ro_9mTfVbBgCtw8jQ0y'],
    options: [REASON, EXPECTED],
    outputs: ALL,
  },
  {
    name: 'rollback',
    args: [ANY_ID],
    summary: 'take back a rollout that has succeeded',
    examples: ['sluice rollback ro_9mTfVbBgCtw8jQ0y --reason "carts are empty" --wait'],
    details: [
      "Within the plan's rollbackWindow and while the old version still runs; refused where that has fewer pods than the new one serves with.",
      'The answer is a new rollout, which takes the other one back.',
    ],
    options: [
      REASON,
      { name: 'force', summary: 'although the old version has few pods, or the cluster does not answer now' },
      { name: 'wait', summary: 'wait until it is done' },
      TIMEOUT,
      PATIENCE,
    ],
    outputs: ALL,
  },
  {
    name: 'plan lint',
    args: [PLAN],
    summary: 'check a plan here, without a server: every fault with its line and column',
    examples: ['sluice plan lint plan.yaml', 'sluice plan lint plan.yaml -o json'],
    options: SET,
    outputs: DOCUMENT,
  },
  {
    name: 'plan dry-run',
    args: [PLAN],
    summary: 'what the cluster says of a plan, its timeline, what each check measures now; nothing is written',
    examples: ['sluice plan dry-run plan.yaml'],
    options: SET,
    outputs: DOCUMENT,
  },
  {
    name: 'plan backtest',
    args: [PLAN],
    summary: 'judge the past of the stable version as if it had been the canary',
    examples: ['sluice plan backtest plan.yaml --past 4h'],
    options: [...SET, { name: 'past', value: 'TIME', summary: 'how far back (4h)' }],
    outputs: DOCUMENT,
  },
  {
    name: 'import',
    args: [],
    summary: 'make a plan of a Canary of Flagger or a Rollout of Argo, and say line by line what becomes of it',
    details: [
      'Give the templates that it names too. The plan is on standard output, the notes are on standard error; -o has both in one document.',
      'Ends with 11 where something is lost that the rollout would be less safe without, unless --lenient is given. Needs no server.',
    ],
    examples: [
      'sluice import -f canary.yaml -f metric-templates.yaml > plan.yaml',
      'sluice import -f rollout.yaml --stable myapp-v1 --canary myapp-v2 -o json | jq .notes',
    ],
    options: [
      {
        name: 'file',
        short: 'f',
        value: 'FILE',
        multiple: true,
        summary: 'documents to read; - is standard input; repeatable',
      },
      { name: 'lenient', summary: 'go without what is not supported' },
      { name: 'cluster', value: 'NAME', summary: 'target.cluster of the plan (default)' },
      { name: 'namespace', short: 'n', value: 'NAME', summary: 'where the documents name none' },
      { name: 'mesh', value: 'KIND', summary: 'where they do not show it: istio, linkerd-smi or gateway-api' },
      {
        name: 'proxy',
        value: 'NAME',
        oneOf: ['istio', 'linkerd'],
        summary: 'of gateway-api: who carries the routes out',
      },
      { name: 'stable', value: 'NAME', summary: 'Deployment of the stable version' },
      { name: 'canary', value: 'NAME', summary: 'Deployment of the canary' },
      { name: 'host', value: 'NAME', summary: 'host of the two subsets of a VirtualService' },
      ...SET,
    ],
    outputs: DOCUMENT,
  },
  {
    name: 'fleet run',
    args: [{ ...PLAN, name: 'FLEET.yaml' }],
    summary: 'start a rollout through several clusters, in waves, and wait for its end',
    details: [
      'The document has plan, waves and onFailure (docs/waves.md). Every cluster is asked before anything is written.',
      '--label adds to the labels of the plan. A repeat within one run of a pipeline finds what the first attempt started.',
    ],
    examples: ['sluice fleet run fleet.yaml --label image=myapp:2.1 --timeout 4h'],
    options: [...SET, ...STARTING],
    outputs: ALL,
  },
  {
    name: 'fleet dry-run',
    args: [{ ...PLAN, name: 'FLEET.yaml' }],
    summary: 'what every cluster says of it; nothing is written',
    examples: ['sluice fleet dry-run fleet.yaml'],
    options: SET,
    outputs: DOCUMENT,
  },
  {
    name: 'fleet get',
    args: [FLEET],
    summary: 'its waves, and each cluster with its rollout; --watch follows it to its end',
    examples: ['sluice fleet get fr_2kXbQm81TzLw0aVc --watch'],
    options: WATCHING,
    outputs: ALL,
  },
  {
    name: 'fleet wait',
    args: [FLEET],
    summary: 'wait for the end of a fleet rollout, with the exit codes of run',
    examples: ['sluice fleet wait fr_2kXbQm81TzLw0aVc --exit-when-paused --timeout 4h'],
    options: WAITING,
    outputs: ALL,
  },
  {
    name: 'fleet list',
    args: [],
    summary: 'list fleet rollouts, newest first',
    examples: ['sluice fleet list --live', 'sluice fleet list --status failed,rolled_back'],
    options: [LIVE, status(FLEET_STATUSES), LIMIT],
    outputs: ALL,
  },
  {
    name: 'fleet history',
    args: [FLEET],
    summary: 'everything that happened to a fleet rollout, and who did it',
    examples: ['sluice fleet history fr_2kXbQm81TzLw0aVc'],
    options: [SINCE],
    outputs: DOCUMENT,
  },
  {
    name: 'fleet promote',
    args: [LIVE_FLEET],
    summary: 'let the next wave begin: answers an approval, cuts a bake short, goes on without a wave that failed',
    details: ['What is seen when the command looks goes along: where that is over, nothing happens (exit code 9).'],
    examples: ['sluice fleet promote fr_2kXbQm81TzLw0aVc'],
    options: [EXPECTED_WAVE],
    outputs: ALL,
  },
  {
    name: 'fleet abort',
    args: [LIVE_FLEET],
    summary: 'take every wave back, the last one first',
    examples: ['sluice fleet abort fr_2kXbQm81TzLw0aVc --reason "wrong image" --wait'],
    options: [REASON, EXPECTED_WAVE, ...BACK],
    outputs: ALL,
  },
  {
    name: 'migration run',
    args: [{ ...PLAN, name: 'MIGRATION.yaml' }],
    summary: 'start a migration to STRICT, and wait for its end',
    details: ['The document has scope, quiet, watch, patience and limits (docs/mesh-migrations.md).'],
    examples: ['sluice migration run strict.yaml --set quiet=24h --no-wait'],
    options: [FIELD, ...STARTING],
    outputs: ALL,
  },
  {
    name: 'migration get',
    args: [MIGRATION],
    summary: 'where it stands, and who calls in plaintext; --watch follows it to its end',
    examples: ['sluice migration get mm_4f0c9a1be27d5630c8aa --watch'],
    options: WATCHING,
    outputs: ALL,
  },
  {
    name: 'migration wait',
    args: [MIGRATION],
    summary: 'wait for the end of a migration, with the exit codes of run',
    details: ['--exit-when-paused also stops where somebody calls in plaintext: that caller has to be given a proxy.'],
    examples: ['sluice migration wait mm_4f0c9a1be27d5630c8aa --timeout 2h'],
    options: WAITING,
    outputs: ALL,
  },
  {
    name: 'migration list',
    args: [],
    summary: 'list migrations, newest first',
    examples: ['sluice migration list --live --namespace production'],
    options: [LIVE, status(MIGRATION_STATUSES), CLUSTER, NAMESPACE, LIMIT],
    outputs: ALL,
  },
  {
    name: 'migration history',
    args: [MIGRATION],
    summary: 'everything that happened to a migration, and who did it',
    examples: ['sluice migration history mm_4f0c9a1be27d5630c8aa'],
    options: [SINCE],
    outputs: DOCUMENT,
  },
  {
    name: 'migration abort',
    args: [LIVE_MIGRATION],
    summary: 'stop a migration; the mode goes back where STRICT was written',
    examples: ['sluice migration abort mm_4f0c9a1be27d5630c8aa --reason "a nightly job still calls" --wait'],
    options: [REASON, ...BACK],
    outputs: ALL,
  },
  {
    name: 'mesh',
    args: [{ name: 'CLUSTER', optional: true, complete: 'none' }],
    summary: 'is the mesh of a cluster installed and well: version, profile, injection, and what to do',
    details: ['The cluster is "default" unless named. Ends with 11 where a check fails.'],
    examples: ['sluice mesh --namespace production', 'sluice mesh west --mesh linkerd-smi -o json'],
    options: [
      { name: 'mesh', value: 'KIND', summary: 'istio (default), linkerd-smi or gateway-api' },
      {
        name: 'proxy',
        value: 'NAME',
        oneOf: ['istio', 'linkerd'],
        summary: 'of gateway-api: who carries the routes out',
      },
      { name: 'namespace', short: 'n', value: 'NAME', summary: 'also look at this namespace' },
    ],
    outputs: DOCUMENT,
  },
  {
    name: 'deliveries list',
    args: [],
    summary: 'what channels outside were told, newest first, and what became of it',
    examples: ['sluice deliveries list --state dead', 'sluice deliveries list --rollout ro_9mTfVbBgCtw8jQ0y -o json'],
    options: [
      { name: 'rollout', value: 'ID', summary: 'only about this rollout, fleet rollout or migration' },
      { name: 'channel', value: 'NAME', summary: 'only to this channel' },
      { name: 'state', value: 'STATE', oneOf: ['pending', 'delivered', 'dead'], summary: 'only these' },
      { name: 'limit', value: 'N', summary: 'at most so many (50)' },
    ],
    outputs: ALL,
  },
  {
    name: 'deliveries resend',
    args: [{ name: 'DELIVERY', complete: 'none' }],
    summary: 'send a message to its channel once more',
    examples: ['sluice deliveries resend ops:ro_9mTfVbBgCtw8jQ0y:7'],
    options: [],
    outputs: ALL,
  },
  {
    name: 'audit list',
    args: [],
    summary: 'every act, the newest first: who, how, from where, what, why (role admin)',
    examples: [
      'sluice audit list --since 7d --action rollout.promote',
      'sluice audit list --object ro_9mTfVbBgCtw8jQ0y -o json',
    ],
    options: [
      { name: 'since', value: 'TIME', summary: 'within this time (7d) or since then (2026-01-31T12:00:00Z)' },
      { name: 'actor', value: 'NAME', summary: 'only acts of this principal, by name ("token ci") or id' },
      { name: 'action', value: 'ACTION', oneOf: AUDIT_ACTIONS, summary: 'only acts of this kind' },
      { name: 'object', value: 'ID', summary: 'only acts on this rollout, fleet, migration or token, or that made it' },
      { name: 'limit', value: 'N', summary: 'at most so many (50)' },
    ],
    outputs: DOCUMENT,
  },
  {
    name: 'audit verify',
    args: [],
    summary: 'compute the chain of the audit again: was a row changed, removed or put in? (role admin)',
    details: [
      'Reads every row and believes nothing that the server says of them. Prints the head, the number and hash of the last row: kept elsewhere,',
      'it proves later by --expect-head that nothing up to there was written anew or cut off. Ends with 14 and the first row that is not as it was.',
    ],
    examples: ['sluice audit verify', 'sluice audit verify --expect-head "$(cat head.txt)"'],
    options: [{ name: 'expect-head', value: 'ROW:HASH', summary: 'the head that an earlier verify printed' }],
    outputs: ALL,
  },
  {
    name: 'doctor',
    args: [],
    summary: 'what is wrong between here and the server, and what to do',
    examples: ['sluice doctor'],
    options: [],
    outputs: DOCUMENT,
  },
  {
    name: 'login',
    args: [{ name: 'URL', complete: 'none' }],
    summary: 'check a token against the server, or sign in by the browser, and store it (in a file for you alone)',
    details: [
      'The token is asked for without showing it; or it comes by --token-file, SLUICE_TOKEN or standard input.',
      'With --oidc nobody has a token to hand out: the browser leads to the OpenID provider of the server, and the session ends when that of the page would.',
    ],
    examples: [
      'sluice login https://sluice.example.com',
      'sluice login https://sluice.example.com --oidc',
      'pass show sluice | sluice login https://sluice.example.com --context prod',
    ],
    options: [
      { name: 'oidc', summary: 'sign in by the browser, with the OpenID provider of the server' },
      { name: 'no-browser', summary: 'with --oidc: only show the address' },
    ],
    outputs: [],
  },
  {
    name: 'logout',
    args: [],
    summary: 'forget the token of a context (the server still knows it)',
    examples: ['sluice logout --context prod'],
    options: [],
    outputs: [],
  },
  {
    name: 'contexts',
    args: [{ name: 'NAME', optional: true, complete: 'contexts' }],
    summary: 'list the contexts, or make one of them the current',
    examples: ['sluice contexts', 'sluice contexts prod'],
    options: [],
    outputs: ALL,
  },
  {
    name: 'completion',
    args: [{ name: 'SHELL', complete: ['bash', 'zsh', 'fish'] }],
    summary: 'print the completion of a shell: bash, zsh or fish',
    examples: [
      'source <(sluice completion bash)',
      'sluice completion zsh > ~/.zfunc/_sluice   # a folder of fpath',
      'sluice completion fish > ~/.config/fish/completions/sluice.fish',
    ],
    options: [],
    outputs: [],
  },
  {
    name: 'help',
    args: [
      { name: 'COMMAND', optional: true, complete: 'commands' },
      { name: 'COMMAND', optional: true, complete: 'none' },
    ],
    summary: 'help for a command; "help exit-codes" shows how commands end',
    examples: ['sluice help run', 'sluice help exit-codes'],
    options: [],
    outputs: [],
  },
];

/** Parts of the service, run by src/main.ts with its own options: loaded only when asked for. */
export const SERVICE_ROLES: Readonly<Record<string, string>> = {
  api: 'serve the REST API',
  worker: 'step, judge, promote and roll back',
  all: 'both in one process',
  migrate: 'bring the database schema up to date',
  token: 'create, list and revoke API tokens, in the database',
  slack: 'who is who in Slack, in the database',
};

/** Beside the table: it takes no option of ours. */
export const DEMO = { name: 'demo', summary: 'the whole service on a simulated cluster, from a checkout' } as const;
