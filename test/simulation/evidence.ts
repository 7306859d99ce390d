/** What must hold of the evidence in every run, whatever failed: every request once, and no way past the judge. */
import { isDeepStrictEqual } from 'node:util';
import type { Commit } from '../../src/app/ports.ts';
import type { Side } from '../../src/domain/evidence/counts.ts';
import { replay } from '../../src/domain/evidence/state.ts';
import { weightAt } from '../../src/domain/plan.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { stepOf } from '../../src/domain/rollout.ts';
import type { World } from './world.ts';

export function evidenceViolations({ store, users, script }: World, commits: readonly Commit[]): string[] {
  const final = commits.at(-1)?.next;
  if (script.plan.analysis.evidence === null || final === undefined) return [];
  const row = store.row(final.id);
  if (row?.ledger == null) return ['E0: there is no ledger'];
  const { ledger, blocks } = row;
  const found: string[] = [];

  // E1: blocks follow each other, and each is there once.
  blocks.forEach(({ block }, i) => {
    const before = blocks[i - 1]?.block;
    if (block.index !== i) found.push(`E1: block ${i} has the index ${block.index}`);
    if (before !== undefined && block.from !== before.to)
      found.push(`E1: block ${i} begins at ${block.from}, and the one before ended at ${before.to}`);
  });

  // E2: what was counted is what was there: between the baseline and the last count, of each version.
  const { countedFrom, countedTo } = ledger;
  if (countedFrom !== null && countedTo !== null)
    for (const role of ['stable', 'canary'] as const) {
      const [first, last] = [users.shownUntil(countedFrom)[role], users.shownUntil(countedTo)[role]];
      const wanted = `${last.errors - first.errors} of ${last.requests - first.requests}`;
      const sides = [
        ...blocks.flatMap(({ block }) => block.groups.map((group) => group[role])),
        ...Object.values(ledger.open?.pods ?? {}).map((pod) => pod[role]),
      ];
      const counted = `${sum(sides, 'errors')} of ${sum(sides, 'requests')}`;
      if (counted !== wanted) found.push(`E2: ${counted} failed of the ${role} by the ledger, ${wanted} in truth`);
    }

  // E3: every verdict can be computed again from its blocks.
  const again = replay(
    ledger.setup.settings,
    blocks.map(({ block }) => block),
  );
  if (!isDeepStrictEqual(again, ledger.state)) found.push('E3: the blocks do not give the state');

  // E4: what is proven bad goes back in the commit that says so.
  for (const { previous, next } of commits)
    if (isBad(next) && !isBad(previous) && !goesBack(next))
      found.push(`E4: proven bad, and the rollout is ${next.phase.name}`);

  // E5: nothing goes up past what looks bad, nor to 100 % without the proof, but by a person's word or the plan's.
  for (const commit of commits) if (!mayRise(commit)) found.push(`E5: ${words(commit)}`);

  // E6: a canary that fails and is compared is found, at the latest after as many blocks as half of all traffic takes.
  const failing = blocks.filter(({ block }) =>
    block.groups.some(({ canary, stable }) => canary.errors >= FAILING && stable.requests >= canary.requests),
  );
  if (failing.length > FOUND_WITHIN && ledger.state.crossed === null)
    found.push(`E6: ${failing.length} blocks with failures of the canary, and no verdict`);
  return found;
}

/** Errors in a block that a healthy canary does not have: its requests fail once in a thousand. */
const FAILING = 10;
const FOUND_WITHIN = 25;

/** A rollout whose canary was as good as the stable version, sent back by the comparison. */
export const isFalseRollback = ({ script, store }: World): boolean =>
  script.badFrom === null &&
  store.commits.some(({ next }) => isBad(next) && next.phase.name === 'rolling_back' && next.reverts === undefined);

/** Was a healthy canary compared at all? */
export const wasCompared = ({ script, store }: World): boolean =>
  script.badFrom === null && store.commits.some(({ next }) => (next.judgement?.finding ?? null) !== null);

const sum = (sides: readonly Side[], field: 'requests' | 'errors'): number =>
  sides.reduce((all, side) => all + side[field], 0);

const verdictOf = ({ judgement }: Rollout): string => judgement?.finding?.verdict ?? 'none';
const isBad = (rollout: Rollout): boolean => verdictOf(rollout) === 'bad';
const goesBack = ({ phase }: Rollout): boolean =>
  phase.name === 'rolling_back' || (phase.name === 'ended' && phase.status !== 'succeeded');

function mayRise({ previous, next }: Commit): boolean {
  const [from, to] = [stepOf(previous), stepOf(next)];
  const { phase, plan } = previous;
  if (from === null || to === null || to <= from || next.phase.name !== 'progressing') return true;
  if ((phase.name !== 'progressing' && phase.name !== 'paused') || phase.go !== null) return true;
  const compared = weightAt(plan, from) > 0 && weightAt(plan, from) < 100;
  if (!compared) return true;
  const verdict = verdictOf(next);
  const promotes = weightAt(plan, to) >= 100;
  if (verdict === 'safe' || (verdict === 'undecided' && !promotes)) return true;
  return verdict === 'undecided' && plan.analysis.evidence?.unproven.then === 'promote';
}

const words = ({ previous, next }: Commit): string =>
  `${stepOf(previous)} -> ${stepOf(next)} with the verdict ${verdictOf(next)}`;
