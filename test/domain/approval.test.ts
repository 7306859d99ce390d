/** Whose word counts: by table, and as a property of every order of words and looks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { observe } from '../../src/domain/advance.ts';
import { type Approver, unknownStarter, whoMay } from '../../src/domain/approval.ts';
import type { Change } from '../../src/domain/change.ts';
import { type Command, isRefused, order, type Refusal } from '../../src/domain/command.ts';
import { type Identities, isSamePerson, kindOf, NOTHING_JOINED } from '../../src/domain/person.ts';
import type { ApprovalRule, Step } from '../../src/domain/plan.ts';
import type { Rollout, Starter } from '../../src/domain/rollout.ts';
import { isLive, stepOf } from '../../src/domain/rollout.ts';
import { aPlan, aRollout, asWanted, atStep, measured } from '../support/builders.ts';

const somebody = (name: string, part: Partial<Approver> = {}): Approver => ({
  id: `token:${name}`,
  name: `token ${name}`,
  persons: [`${name}@example.com`],
  groups: [],
  ...part,
});
const ana = somebody('ana');
const ben = somebody('ben');
const cem = somebody('cem');
const oncall = (who: Approver): Approver => ({ ...who, groups: ['web', 'Payments-Oncall'] });
const nameless = somebody('shared', { persons: [] });
/** The same person through another door, with her login at the pipeline's host among her names. */
const anaInSlack = somebody('x', {
  id: 'slack:T1:U1',
  name: 'slack U1 (ana)',
  persons: ['ana-gh', ' ANA@example.com'],
});

const rule = (part: Partial<ApprovalRule> = {}): ApprovalRule => ({ required: 1, approvers: [], ...part });
const fourEyes = rule({ notBy: 'starter' });
const two = rule({ required: 2 });
const byOncall = rule({ approvers: ['payments-oncall'] });

const steps = (...rules: readonly (ApprovalRule | null)[]): readonly Step[] =>
  rules.map((one, i) => ({
    weight: 10 * (i + 1),
    hold: 60_000,
    ...(one === null ? { approval: 'none' } : { approval: 'required', rule: one }),
  }));

const rolloutAt = (step: number, rules: readonly (ApprovalRule | null)[], part: Partial<Rollout> = {}): Rollout =>
  atStep(step, 0, {
    plan: aPlan({ steps: steps(...rules) }),
    startedBy: { id: 'token:ci', persons: ['ana@example.com'] },
    ...part,
  });

const promote = (rollout: Rollout, by: Approver | undefined, full = false, known?: Identities): Change | Refusal =>
  order(rollout, { command: { name: 'promote', full }, actor: by?.name ?? 'somebody', by, known, at: 100 });
const moved = (result: Change | Refusal): Rollout => {
  if (isRefused(result)) throw new Error(result.message);
  return result.rollout;
};

describe('a word that does not count is refused, and says whose would', () => {
  it.each<[string, ApprovalRule, Approver | undefined, RegExp]>([
    [
      'of the starter',
      fourEyes,
      ana,
      /somebody who may promote, not whoever started the rollout: token ana started it/,
    ],
    ['of the starter by another door', fourEyes, anaInSlack, /slack U1 \(ana\) started it, or had it started/],
    [
      'of the very token that started it',
      fourEyes,
      somebody('ci', { persons: ['bot@example.com'] }),
      /token ci started it/,
    ],
    [
      'of nobody known, where people are told apart',
      fourEyes,
      nameless,
      /not known which person token shared is; .*--person/,
    ],
    ['of nobody known, where people are counted', two, nameless, /approved by 2 people .* not known which person/],
    ['of another group', byOncall, { ...ben, groups: ['web'] }, /somebody of payments-oncall: token ben is of web/],
    ['of no group', byOncall, ben, /somebody of payments-oncall: token ben is of no group/],
    ['of nobody at all', byOncall, undefined, /it is not known who asks/],
  ])('%s', (_, asked, by, words) => {
    const result = promote(rolloutAt(0, [asked]), by);
    expect(result).toMatchObject({ code: 'not_an_approver' });
    expect((result as Refusal).message).toMatch(words);
    expect((result as Refusal).message).toMatch(/^step 1 of 1 \(10 %\) is approved by /);
  });

  it('also where the starter was not kept', () => {
    const { startedBy: _, ...old } = rolloutAt(0, [fourEyes]);
    expect(promote(old, ben)).toMatchObject({ code: 'not_an_approver', message: expect.stringMatching(/who started/) });
  });
});

describe('a word that counts', () => {
  it.each<[string, ApprovalRule, Approver]>([
    ['of anybody but the starter', fourEyes, ben],
    ['of the group, however it is written', byOncall, oncall(ben)],
    ['of the starter, where only the group is asked for', byOncall, oncall(ana)],
  ])('%s', (_, asked, by) => {
    expect(moved(promote(rolloutAt(0, [asked]), by)).phase).toMatchObject({ go: { actor: by.name } });
  });

  it('is one of several: the rollout stands, and the second of two different people moves it on', () => {
    const first = promote(rolloutAt(0, [two]), ben);
    expect(first).toMatchObject({
      facts: [
        {
          type: 'approved',
          message: 'token ben approved step 1 of 1 (10 %), 1 of 2',
          data: { approvals: 1, required: 2 },
        },
      ],
    });
    expect(moved(first).phase).toMatchObject({ go: null, approvals: [{ actor: 'token ben' }] });
    expect(promote(moved(first), somebody('ben', { id: 'slack:T1:U2' }))).toMatchObject({ facts: [] });
    const second = moved(promote(moved(first), cem));
    expect(second.phase).toMatchObject({ go: { actor: 'token cem' } });
    const next = observe(second, asWanted(second, 1_000)).rollout;
    expect(next.movedBy).toEqual(['token ben and token cem at 10 %']);
    expect(next.phase).not.toHaveProperty('approvals');
  });

  it('is forgotten with the word to go on, when what was seen has changed', () => {
    const first = moved(promote(rolloutAt(0, [two]), ben));
    const paused = moved(order(first, { command: { name: 'pause', reason: '' }, actor: 'cem', at: 200 }));
    expect(paused.phase).not.toHaveProperty('approvals');
  });

  it('is wanted no more past a gate, once the step is approved', () => {
    const approved = moved(promote(rolloutAt(0, [fourEyes]), ben));
    expect(promote(approved, ana)).toEqual({ rollout: approved, facts: [] });
  });
});

describe('names of different kinds', () => {
  const OIDC = 'oidc:https://idp.example.com#';
  const anaSignedIn = somebody('ana', { id: 'user:s1', name: 'user ana', persons: ['ana@example.com', `${OIDC}s1`] });
  const benSignedIn = somebody('ben', { id: 'user:s2', name: 'user ben', persons: ['ben@example.com', `${OIDC}s2`] });
  const anaJoined = { people: [['ana@example.com', 'ana-gh', 'slack:U1']], kindsDiffer: false };
  const bothJoined = { ...anaJoined, people: [...anaJoined.people, ['ben@example.com', 'ben-gh']] };
  const differ = { people: [], kindsDiffer: true };
  const forAna = { id: 'ci:github:7', persons: ['ana-gh'], onBehalfOf: 'ana-gh' };
  const forAnaByBot = { id: 'token:bot', persons: ['bot@example.com', 'ana-gh'], onBehalfOf: 'ana-gh' };
  const self = /started it, or had it started$/;
  const unclear =
    /cannot be told whether .* by e-mail address.*\(ana-gh\) by plain name.* people or login\.persons in the trust policy/;

  it.each<[string, Starter, Approver, Identities, RegExp | null]>([
    ['the login of a pipeline and a sign-in, nothing joined: Ana', forAna, anaSignedIn, NOTHING_JOINED, unclear],
    ['the same: Ben, of whom nobody can tell either', forAna, benSignedIn, NOTHING_JOINED, unclear],
    ['Ana, joined', forAna, anaSignedIn, anaJoined, self],
    ['Ben, where the starter is joined', forAna, benSignedIn, anaJoined, null],
    ['Ben, with a login of his own', forAna, { ...benSignedIn, persons: ['ben-gh'] }, NOTHING_JOINED, null],
    ['Ben, joined', forAna, benSignedIn, bothJoined, null],
    ['Ben, where kinds are said to differ', forAna, benSignedIn, differ, null],
    [
      'a token that names a person does not answer for whom it starts',
      forAnaByBot,
      benSignedIn,
      NOTHING_JOINED,
      unclear,
    ],
    ['nor does it where the other is joined', forAnaByBot, benSignedIn, anaJoined, null],
    ['Slack, joined', forAna, somebody('x', { persons: ['slack:U1'] }), anaJoined, self],
    [
      'Slack alone',
      forAna,
      somebody('x', { persons: ['slack:U2'] }),
      NOTHING_JOINED,
      /cannot be told .* by slack:, .*by plain name/,
    ],
    ['one issuer', { id: 'user:s1', persons: [`${OIDC}s1`] }, benSignedIn, NOTHING_JOINED, null],
    [
      'another issuer',
      { id: 'user:s1', persons: ['oidc:https://old#s1'] },
      benSignedIn,
      NOTHING_JOINED,
      /cannot be told/,
    ],
  ])('%s', (_, startedBy, by, known, words) => {
    const result = promote(rolloutAt(0, [fourEyes], { startedBy }), by, false, known);
    if (words === null) expect(moved(result).phase).toMatchObject({ go: { actor: by.name } });
    else expect(result).toMatchObject({ code: 'not_an_approver', message: expect.stringMatching(words) });
  });

  it('are not counted as two people, unless something joins them', () => {
    const inSlack = somebody('x', { persons: ['slack:U1'] });
    const first = moved(promote(rolloutAt(0, [two]), benSignedIn));
    expect(promote(first, inSlack)).toMatchObject({
      code: 'not_an_approver',
      message: expect.stringMatching(/approved by 2 people .*: it cannot be told whether token x is user ben/),
    });
    expect(moved(promote(first, inSlack, false, anaJoined)).phase).toMatchObject({ go: { actor: 'token x' } });
    const again = { people: [['ben@example.com', 'slack:U1']], kindsDiffer: false };
    expect(promote(first, inSlack, false, again)).toMatchObject({ facts: [] });
  });

  it.each([
    ['ana-gh', 'plain name'],
    [' Ana@Example.com', 'e-mail address'],
    ['slack:U123', 'slack:'],
    ['GitHub:ana', 'github:'],
    ['github:ana@example.com', 'github:'],
    ['oidc:https://idp.example.com:8443/a#u:1@x', 'oidc:https://idp.example.com:8443/a'],
  ])('%j is of the kind %s', (name, kind) => {
    expect(kindOf(name)).toBe(kind);
  });
});

describe('straight to 100 %', () => {
  it.each<[string, readonly (ApprovalRule | null)[], Approver, boolean]>([
    ['past nothing that asks', [null, null], ana, true],
    ["not past a later step's second pair of eyes", [null, fourEyes], ana, false],
    ['past it by somebody else', [null, fourEyes], ben, true],
    ['not past a later group', [fourEyes, byOncall], ben, false],
    ['past both', [fourEyes, byOncall], oncall(ben), true],
    ['not past a step that wants two', [null, two], ben, false],
  ])('%s', (_, rules, by, allowed) => {
    expect(isRefused(promote(rolloutAt(0, rules), by, true))).toBe(!allowed);
  });

  it('is another question once the present step is approved', () => {
    const approved = moved(promote(rolloutAt(0, [null, fourEyes]), ana));
    expect(promote(approved, ana, true)).toMatchObject({ code: 'not_an_approver' });
    expect(moved(promote(approved, ben, true)).phase).toMatchObject({ go: { full: true } });
  });
});

describe('the starter', () => {
  it.each<[string, readonly (ApprovalRule | undefined)[], readonly string[], boolean]>([
    ['may be anybody without a rule', [undefined], [], true],
    ['may be anybody where only a group is asked for', [byOncall], [], true],
    ['must be known where they may not approve', [undefined, fourEyes], [], false],
    ['is known by one name', [fourEyes], ['ana'], true],
  ])('%s', (_, rules, persons, fine) => {
    expect(unknownStarter(rules, { id: 'token:ci', persons }) === null).toBe(fine);
  });
});

it.each<[ApprovalRule, string]>([
  [rule(), 'somebody who may promote'],
  [rule({ required: 3, approvers: ['sre', 'web'] }), '3 people of sre or web'],
  [rule({ notBy: 'starter', approvers: ['sre'] }), 'somebody of sre, not whoever started the rollout'],
])('says who may: %j', (asked, words) => {
  expect(whoMay(asked)).toBe(words);
});

// ── whatever is said, in whatever order ─────────────────────────────────────────────────────────────────────────────

const people = [ana, anaInSlack, ben, cem, oncall(ben), oncall(cem), nameless, oncall(nameless)];
const rules = fc.constantFrom<ApprovalRule | null>(null, fourEyes, two, byOncall, {
  ...byOncall,
  required: 2,
  notBy: 'starter',
});
const said = fc.record({
  by: fc.constantFrom(...people),
  command: fc.constantFrom<Command>(
    { name: 'promote', full: false },
    { name: 'promote', full: false },
    { name: 'promote', full: true },
    { name: 'pause', reason: '' },
    { name: 'resume' },
    { name: 'retry' },
  ),
});
const event = fc.oneof(said, fc.constant(null));

/** As the rule's own words have it, and by the first letter of who it is: not by the code under test. */
const personOf = ({ persons }: Approver): string | null => persons.at(-1)?.trim().toLowerCase() ?? null;
const counts = (asked: ApprovalRule, by: Approver): boolean =>
  (asked.approvers.length === 0 || by.groups.includes('Payments-Oncall')) &&
  ((asked.notBy === undefined && asked.required === 1) || personOf(by) !== null) &&
  (asked.notBy === undefined || personOf(by) !== 'ana@example.com');

it('no rollout goes past a step without the words that it asks for, whatever is said in whatever order', () => {
  fc.assert(
    fc.property(
      fc.array(rules, { minLength: 1, maxLength: 4 }),
      fc.array(event, { maxLength: 30 }),
      (asked, events) => {
        let rollout = aRollout({
          plan: aPlan({ steps: steps(...asked) }),
          startedBy: { id: 'token:ci', persons: ['ana@example.com'] },
        });
        let at = 0;
        let heard: { by: Approver; full: boolean }[] = [];
        for (const one of [null, null, ...events, null]) {
          if (!isLive(rollout)) break;
          at += 70_000;
          const before = stepOf(rollout);
          if (one === null) {
            const passes = [measured('pass')];
            rollout = observe(rollout, { ...asWanted(rollout, at), measurements: passes }).rollout;
          } else {
            const result = order(rollout, { command: one.command, actor: one.by.name, by: one.by, at });
            if (isRefused(result)) continue;
            rollout = result.rollout;
            if (one.command.name === 'promote') heard.push({ by: one.by, full: one.command.full });
          }
          const now = stepOf(rollout) ?? 0;
          for (let step = before ?? 0; step < now && step < asked.length; step += 1) {
            const wanted = asked[step] ?? null;
            if (wanted === null) continue;
            const words = heard.filter(({ by, full }) => counts(wanted, by) && (step === before || full));
            const different = new Set(words.map(({ by }) => personOf(by) ?? by.id)).size;
            expect(different).toBeGreaterThanOrEqual(wanted.required);
          }
          if (now !== before) heard = [];
        }
      },
    ),
    { numRuns: 500 },
  );
});

it('a second pair of eyes is known by a name of a kind of the first, and by none that is the same, whatever names there are', () => {
  const name = fc.constantFrom<string>(
    'a',
    'b',
    'a@x',
    'b@x',
    'slack:U1',
    'slack:U2',
    'github:a',
    'oidc:i#1',
    'oidc:i#2',
  );
  const names = fc.uniqueArray(name, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(
      names,
      fc.option(name),
      names,
      names,
      fc.constantFrom(fourEyes, two),
      (own, behalf, by, same, asked) => {
        const known = { people: [same], kindsDiffer: false };
        const all = (some: readonly string[]) => (some.some((one) => same.includes(one)) ? [...some, ...same] : some);
        const startedBy =
          behalf === null || own.includes(behalf)
            ? { id: 'token:s', persons: own }
            : { id: 'token:s', persons: [...own, behalf], onBehalfOf: behalf };
        const approver = somebody('by', { persons: by });
        const first = { id: 'token:s', persons: own, actor: 's', at: 1 };
        const { phase } = rolloutAt(0, [asked]);
        const rollout = rolloutAt(0, [asked], {
          startedBy,
          phase: { ...phase, approvals: asked === two ? [first] : [] } as Rollout['phase'],
        });
        const result = promote(rollout, approver, false, known);
        const { onBehalfOf } = startedBy;
        const parties = asked === two || onBehalfOf === undefined ? [own] : [own, [onBehalfOf]];
        const differs = (party: readonly string[]): boolean =>
          !all(party).some((one) => all(by).includes(one)) &&
          all(party).some((one) => all(by).some((other) => kindOf(one) === kindOf(other)));
        const counted = !isRefused(result) && result.rollout !== rollout;
        expect(counted).toBe(parties.every(differs));
      },
    ),
    { numRuns: 2_000 },
  );
});

it('whoever is one person is so the other way round', () => {
  const names = fc.uniqueArray(fc.constantFrom('a', 'A ', 'b', 'a@x', 'slack:U1'), { maxLength: 3 });
  fc.assert(
    fc.property(names, names, names, (a, b, same) => {
      const known = { people: [same], kindsDiffer: false };
      const [one, other] = [
        { id: '1', persons: a },
        { id: '2', persons: b },
      ];
      expect(isSamePerson(one, other, known)).toBe(isSamePerson(other, one, known));
    }),
  );
});
