/** One migration of mTLS as a tree: the guard, STRICT and its watch, the callers that are in the way. Pure. */
import { count, duration, plain } from '../../domain/format.ts';
import type { View } from '../kind.ts';
import type { MigrationBody, MigrationSummary } from '../wire/api.ts';
import { branches } from './branches.ts';
import type { Line } from './line.ts';
import { table, toned } from './line.ts';
import type { Place } from './marks.ts';
import { placeMark, statusTone } from './marks.ts';
import { factLine, since } from './words.ts';

/** "workload production/myapp-v1", "namespace production", "the mesh" */
export function scopeWords({ scope }: Pick<MigrationSummary, 'scope'>): string {
  if (scope.kind === 'mesh') return 'the mesh';
  return scope.kind === 'workload' ? `workload ${scope.namespace}/${scope.workload}` : `namespace ${scope.namespace}`;
}

type Caller = MigrationSummary['callers'][number];
const callerWords = ({ source_workload: workload, source_workload_namespace: namespace }: Caller): string =>
  workload === 'unknown' ? 'unknown' : `${namespace}/${workload}`;

/** null: nothing stands in its way. */
export function migrationSentence({ outcome, trouble, pause, callers }: MigrationBody): string | null {
  if (outcome !== null)
    return trouble === null ? outcome.message : `${outcome.message}. The policy: ${trouble.message}`;
  if (pause !== null) return pause.message;
  if (trouble !== null) return trouble.message;
  if (callers.length === 0) return null;
  return `STRICT would refuse ${[...new Set(callers.map(callerWords))].join(', ')}`;
}

export function migrationTree({ body, facts, now, unicode }: View<MigrationBody>): readonly Line[] {
  const sentence = migrationSentence(body);
  const { guard, strict } = placesOf(body);
  return [
    headOf(body, now),
    ...branches(
      [
        {
          line: [
            placeMark(guard, unicode),
            ' guard   ',
            toned('quiet', `nobody may have called in plaintext for ${duration(body.quietMs)}`),
          ],
          below: callerLines(body),
        },
        { line: [placeMark(strict, unicode), ' STRICT  ', ...watchOf(body, now)], below: beforeLines(body) },
      ],
      unicode,
    ),
    ...(sentence === null ? [] : [[toned(statusTone(body.status), sentence)] as Line]),
    ...facts.map((fact): Line => ['   ', ...factLine(fact)]),
  ];
}

function headOf(migration: MigrationBody, now: number): Line {
  const { id, status, cluster, mesh, policy, createdAt, createdBy, endedAt } = migration;
  const took = since(createdAt, endedAt === null ? now : Date.parse(endedAt));
  return [
    toned('strong', scopeWords(migration)),
    '  ',
    toned(statusTone(status), status),
    toned(
      'quiet',
      `  ${cluster}  ${mesh}  PeerAuthentication ${policy.namespace}/${policy.name}  ${id}  ${took}  by ${createdBy}`,
    ),
  ];
}

function placesOf({ status, facts }: MigrationBody): { readonly guard: Place; readonly strict: Place } {
  const wanted = facts.some(({ type }) => type === 'strict_wanted');
  if (status === 'succeeded') return { guard: 'done', strict: 'done' };
  if (status === 'strict') return { guard: 'done', strict: 'here' };
  if (status === 'pending' || status === 'guarding' || status === 'paused') return { guard: 'here', strict: 'ahead' };
  return wanted ? { guard: 'done', strict: 'left' } : { guard: 'left', strict: 'ahead' };
}

const callerLines = ({ callers }: MigrationBody): readonly Line[] =>
  callers.map(
    (caller): Line => [
      '  ',
      toned('bad', callerWords(caller)),
      ` called ${caller.called} in plaintext (${caller.protocol}, ${count(Math.max(1, caller.calls))})`,
    ],
  );

function watchOf({ inForceAt, watchMs, status }: MigrationBody, now: number): Line {
  if (inForceAt === null || status !== 'strict') return [toned('quiet', `watched for ${duration(watchMs)}`)];
  const passed = Math.max(0, now - Date.parse(inForceAt));
  return [
    passed >= watchMs
      ? `watched for ${duration(passed)}`
      : `${duration(watchMs - passed)} left of ${duration(watchMs)}`,
  ];
}

function beforeLines({ before }: MigrationBody): readonly Line[] {
  if (before === null) return [];
  const { calls, failures, windowMs, callers } = before;
  return [
    [
      '  ',
      toned('quiet', `before: ${count(failures)} of ${count(calls)} calls in ${duration(windowMs)} did not connect`),
    ],
    ...callers.map(
      (caller): Line => [
        '  ',
        toned(
          'quiet',
          `before: ${plain(caller.perSecond)} calls a second from ${caller.source_workload_namespace}/${caller.source_workload}`,
        ),
      ],
    ),
  ];
}

export const migrationRows = (items: readonly MigrationSummary[], now: number): readonly Line[] =>
  table([
    ['ID', 'SCOPE', 'CLUSTER', 'STATUS', 'CALLERS', 'AGE', 'BY'],
    ...items.map((migration) => [
      migration.id,
      scopeWords(migration),
      migration.cluster,
      [toned(statusTone(migration.status), migration.status)],
      migration.callers.length === 0 ? '-' : [toned('bad', String(migration.callers.length))],
      duration(Math.max(0, now - Date.parse(migration.createdAt))),
      migration.createdBy,
    ]),
  ]);
