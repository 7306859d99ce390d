import { beforeEach, describe, expect, it } from 'vitest';
import { handleInbound, type InboundPorts, inboundStep } from '../../src/app/inbound.ts';
import type { InboundCommand, Principal } from '../../src/app/ports.ts';
import { BUTTON, type OrderName, SLASH } from '../../src/app/slack-command.ts';
import { type Places, scopedUseCases } from '../../src/app/trust/scope.ts';
import type { UseCases } from '../../src/app/usecases.ts';
import type { Rollout } from '../../src/domain/rollout.ts';
import { type MemoryAudit, memoryAudit } from '../support/audit.ts';
import { aPlan } from '../support/builders.ts';
import { approver, atStepSince, memoryInbound, type SlackWorld, slackWorld, waiting } from '../support/slack-memory.ts';

const MINUTE = 60_000;
const URL = 'https://hooks.slack.com/commands/T1/1/abc';

let world: SlackWorld;
let answers: string[];
let who: Principal | null;
let ports: InboundPorts;
let audit: MemoryAudit;

beforeEach(() => {
  world = slackWorld();
  audit = memoryAudit();
  answers = [];
  who = approver;
  ports = {
    useCases: world.useCases,
    audit,
    principals: { find: async (teamId, userId) => (teamId === 'T1' && userId === 'U1' ? who : null) },
    respond: async (_, text) => {
      answers.push(text);
      return true;
    },
    log: world.log,
  };
});

const stored = (kind: string, payload: object, part: Partial<InboundCommand> = {}): InboundCommand => ({
  id: 'x',
  kind,
  payload: { teamId: 'T1', userId: 'U1', responseUrl: URL, ...payload },
  acceptedAt: world.clock.now,
  age: 0,
  attempts: 0,
  ...part,
});

async function says(text: string, part: Partial<InboundCommand> = {}): Promise<string> {
  await handleInbound(ports, stored(SLASH, { text }, part));
  return answers.at(-1) ?? '';
}

async function clicks(action: OrderName, expectedStep: number, part: Partial<InboundCommand> = {}): Promise<string> {
  await handleInbound(
    ports,
    stored(BUTTON, { value: JSON.stringify({ rolloutId: 'r1', expectedStep, action }) }, part),
  );
  return answers.at(-1) ?? '';
}

const inForce = (step: number) => atStepSince(step, world.clock.now - MINUTE);
const phaseOf = async (id: string) => (await world.store.load(id))?.rollout.phase;

describe('/rollout status', () => {
  it('tells of everything that is live', async () => {
    expect(await says('status')).toBe('No rollout is live.');
    await world.rollout('r1', { phase: inForce(1) });
    expect(await says('status')).toContain(
      '*production/myapp on cluster default*: progressing at step 2 of 3 (25 %) (`r1`)',
    );
  });

  it('tells of one service, also of its last rollout when none is live, and by id', async () => {
    const message = 'Promoted to 100 % after 4 m';
    const outcome = { code: 'promoted', message, step: 3, weight: 100 };
    await world.rollout('r1', { phase: { name: 'ended', status: 'succeeded', outcome, step: 3, at: world.clock.now } });
    for (const subject of ['myapp', 'production/myapp', 'default/production/myapp', 'r1']) {
      expect(await says(`status ${subject}`)).toContain(`succeeded (\`r1\`)\n${message}`);
    }
    expect(await says('status staging/myapp')).toContain('no rollout of `staging/myapp`');
  });

  it('answers words that it does not know with those that it does', async () => {
    expect(await says('deploy <!channel> now')).toContain('I do not know "deploy"');
    expect(await says('<!channel>')).not.toContain('<!channel>');
    expect(await says('')).toContain('/rollout promote web');
    expect(await says('promote')).toContain('Say which rollout to promote');
    expect(await says('promote web now')).toContain('nothing after it');
    expect(world.done).toEqual([]);
  });
});

describe('who may', () => {
  beforeEach(async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
  });

  it.each(['status', 'promote myapp', 'abort myapp', 'help'])(
    'nobody who is not mapped: "%s" is refused, with how to be mapped',
    async (text) => {
      who = null;
      const answer = await says(text);
      expect(answer).toContain('Nothing was done: Sluice does not know who you are');
      expect(answer).toContain('sluice slack map --team T1 --user U1');
      expect(world.done).toEqual([]);
    },
  );

  it('the same user id of another workspace is somebody else', async () => {
    await handleInbound(ports, stored(SLASH, { text: 'promote myapp', teamId: 'T2' }));
    expect(answers[0]).toContain('does not know who you are');
    expect(world.done).toEqual([]);
  });

  it('a button refuses whoever is not mapped, though they see it', async () => {
    who = null;
    expect(await clicks('promote', 1)).toContain('does not know who you are');
    expect(world.done).toEqual([]);
  });

  it.each([
    ['viewer', 'promote', false],
    ['viewer', 'abort', false],
    ['viewer', 'pause', false],
    ['deployer', 'pause', true],
    ['approver', 'pause', true],
    ['deployer', 'promote', false],
    ['deployer', 'abort', true],
    ['approver', 'promote', true],
    ['approver', 'abort', true],
    ['admin', 'promote', true],
  ] as const)('a %s asks to %s: %s', async (role, act, allowed) => {
    who = { ...approver, role };
    const answer = await clicks(act, 1);
    expect(world.done).toEqual(allowed ? [`${act} r1`] : []);
    if (!allowed) expect(answer).toContain(`Nothing was done: your role is ${role}`);
  });

  it('every act carries the name of the person into the history', async () => {
    await clicks('promote', 1);
    const fact = (await world.store.facts('r1', 0, 100)).find(({ type }) => type === 'promote_requested');
    expect(fact?.actor).toBe('slack U1 (ana)');
  });
});

describe('/rollout list', () => {
  it('tells of the latest, also of those that have ended, and of one service', async () => {
    expect(await says('list')).toBe('There was no rollout yet.');
    const outcome = { code: 'promoted', message: 'Promoted to 100 % after 4 m', step: 3, weight: 100 };
    await world.rollout('r1', { phase: { name: 'ended', status: 'succeeded', outcome, step: 3, at: world.clock.now } });
    world.clock.now += 10;
    await world.rollout('r2', { phase: inForce(0) });
    const answer = await says('list');
    expect(answer).toContain('succeeded (`r1`)');
    expect(answer).toContain('progressing at step 1 of 3 (5 %) (`r2`)');
    expect(await says('list production/myapp')).toBe(answer);
    expect(await says('list other')).toBe('There is no rollout of `other`.');
  });
});

describe('pause and resume', () => {
  it('keep it where it is with the reason in the history, and let it go on', async () => {
    await world.rollout('r1', { phase: inForce(1) });
    expect(await says('pause myapp looking at it')).toContain('Done: it stays where it is');
    expect(await phaseOf('r1')).toMatchObject({
      cause: 'operator',
      message: expect.stringMatching(/Paused by slack U1 \(ana\) .*: looking at it/),
    });
    world.clock.now += MINUTE;
    expect(await says('resume myapp')).toContain('Done: it goes on');
    expect(await phaseOf('r1')).toMatchObject({ name: 'progressing', step: 1 });
  });

  it('by button are for the step that the person saw', async () => {
    await world.rollout('r1', { phase: inForce(2) });
    expect(await clicks('pause', 1)).toContain('To pause it all the same: `/rollout pause r1`');
    expect(world.done).toEqual([]);
    expect(await clicks('pause', 2)).toContain('Done');
    world.clock.now += 10;
    expect(await clicks('resume', 2)).toContain('Done');
    expect(world.done).toEqual(['pause r1', 'resume r1']);
  });

  it('a pause is carried out however late; a resume is not, and says so', async () => {
    await world.rollout('r1', { phase: inForce(1), createdAt: 0 });
    const late = { age: 20 * MINUTE };
    expect(await says('pause r1', late)).toContain('Done');
    expect(await says('resume r1', late)).toContain('Resume again if you still want to');
    expect(await phaseOf('r1')).toMatchObject({ name: 'paused' });
  });

  it('a resume is not for a pause that came after it was asked for', async () => {
    const asked = world.clock.now;
    world.clock.now += 10;
    const drift = {
      name: 'paused',
      cause: 'drift',
      held: false,
      since: world.clock.now,
      message: 'somebody',
      go: null,
    };
    await world.rollout('r1', { phase: { ...drift, step: 1, reachedAt: 0, from: 0 } as Rollout['phase'] });
    expect(await says('resume r1', { acceptedAt: asked })).toContain('paused anew since you asked');
    expect(world.done).toEqual([]);
  });

  it.each(['pause myapp', 'resume myapp'])('a "%s" that is refused is in the audit', async (text) => {
    await world.rollout('r1', { phase: inForce(1) });
    who = { ...approver, role: 'viewer' };
    await says(text);
    expect(audit.rows).toMatchObject([{ action: `rollout.${text.split(' ')[0]}`, code: 'forbidden' }]);
  });
});

describe('a step that says whose word it wants', () => {
  const asking = (rule: object) =>
    aPlan({
      steps: [{ weight: 25, hold: 1, approval: 'required', rule: { required: 1, approvers: [], ...rule } }],
    });
  const start = (rule: object) =>
    world.rollout('r1', {
      plan: asking(rule),
      startedBy: { id: 'token:ci', persons: ['Ana@example.com'] },
      phase: waiting(0, world.clock.now - MINUTE),
    });

  it('refuses whoever started it, by button and by word, and writes it into the audit', async () => {
    await start({ notBy: 'starter' });
    who = { ...approver, persons: ['ana@example.com'] };
    const words = 'not whoever started the rollout: slack U1 (ana) started it, or had it started';
    expect(await clicks('promote', 0)).toContain(words);
    expect(await says('promote r1')).toContain(words);
    expect(world.done).toEqual([]);
    expect(audit.rows.map(({ code }) => code)).toEqual(['not_an_approver', 'not_an_approver']);
    who = { ...approver, id: 'slack:T1:U2', name: 'slack U2 (ben)', persons: ['ben@example.com'] };
    expect(await clicks('promote', 0)).toContain('Done: you promoted');
  });

  it('refuses who is of none of its groups', async () => {
    await start({ approvers: ['payments-oncall'] });
    expect(await clicks('promote', 0)).toContain('slack U1 (ana) is of no group');
    who = { ...approver, groups: ['payments-oncall'] };
    expect(await clicks('promote', 0)).toContain('Done: you promoted');
  });

  it('counts the first of two, also when it is clicked twice', async () => {
    await start({ required: 2 });
    who = { ...approver, persons: ['ana'] };
    expect(await clicks('promote', 0)).toContain('Done: you approved step 1 of 1 (25 %), 1 of 2');
    expect(await clicks('promote', 0)).toContain('Done: you approved step 1 of 1 (25 %), 1 of 2');
    expect(world.done).toEqual(['promote r1']);
    expect(await phaseOf('r1')).toMatchObject({ go: null });
  });
});

describe('a click on Promote', () => {
  it('promotes the step that the person saw', async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
    expect(await clicks('promote', 1)).toContain('Done: you promoted step 2 of 3 (25 %)');
    expect(world.done).toEqual(['promote r1']);
  });

  it('twice is one promotion, and both clicks are told so', async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
    await clicks('promote', 1);
    await clicks('promote', 1);
    expect(world.done).toEqual(['promote r1']);
    expect(answers[1]).toContain('Done: you promoted step 2 of 3');
  });

  it('twice is one promotion, also when the first has moved the rollout on in between', async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
    const second = stored(BUTTON, { value: '{"rolloutId":"r1","expectedStep":1,"action":"promote"}' });
    world.clock.now += 10;
    await clicks('promote', 1);
    await world.move('r1', { phase: atStepSince(2, world.clock.now) });
    await handleInbound(ports, second);
    expect(world.done).toEqual(['promote r1']);
    expect(answers[1]).toContain('Done: you promoted step 2 of 3');
  });

  it('on an old button is refused, and says where the rollout is now', async () => {
    await world.rollout('r1', { phase: inForce(2) });
    expect(await clicks('promote', 1)).toContain('Nothing was done: this rollout has moved on to 50 %');
    expect(world.done).toEqual([]);
  });

  it('on the button of a rollout that goes back, or has ended, says so', async () => {
    const outcome = { code: 'check_failed', message: 'error rate 3 % was above <1 %>', step: 1, weight: 25 };
    await world.rollout('r1', { phase: { name: 'rolling_back', reason: 'analysis', since: 0, outcome, step: 1 } });
    expect(await clicks('promote', 1)).toContain('is rolling back');
    await world.move('r1', { phase: { name: 'ended', status: 'rolled_back', outcome, step: 1, at: 0 } });
    expect(await clicks('promote', 1)).toContain('error rate 3 % was above &lt;1 %&gt;');
    expect(await clicks('promote', 0)).toContain('has ended');
    expect(world.done).toEqual([]);
  });

  it('that waited for a worker too long is not carried out', async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
    expect(await clicks('promote', 1, { age: 12 * MINUTE })).toContain('you asked 12 m ago');
    expect(world.done).toEqual([]);
  });
});

describe('/rollout promote', () => {
  it('promotes the step that was in force when the person asked', async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
    expect(await says('promote myapp')).toContain('Done: you promoted step 2 of 3');
    expect(world.done).toEqual(['promote r1']);
  });

  it('asked for step 1 never promotes step 2, which came in between', async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
    const late = stored(SLASH, { text: 'promote myapp' });
    world.clock.now += 1000;
    await world.move('r1', { phase: waiting(2, world.clock.now) });
    await handleInbound(ports, late);
    expect(answers[0]).toContain('moved on to 50 % since you asked');
    expect(world.done).toEqual([]);
  });

  it('of a step whose weight is not yet in force is refused', async () => {
    await world.rollout('r1', { phase: atStepSince(1, null) });
    expect(await says('promote myapp')).toContain('25 % is not in force yet');
    expect(world.done).toEqual([]);
  });

  it('asked before a rollout began does not promote that one', async () => {
    const late = stored(SLASH, { text: 'promote myapp' });
    world.clock.now += 1000;
    await world.rollout('r1', { phase: waiting(0, world.clock.now) });
    await handleInbound(ports, late);
    expect(answers[0]).toContain('started after you asked');
    expect(world.done).toEqual([]);
  });

  it('repeated after a crash, with the rollout moved on, is told as done and promotes nothing more', async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
    const command = stored(SLASH, { text: 'promote myapp' });
    world.clock.now += 10;
    await handleInbound(ports, command);
    await world.move('r1', { phase: waiting(2, world.clock.now + 5) });
    await handleInbound(ports, command);
    expect(world.done).toEqual(['promote r1']);
    expect(answers[1]).toContain('Done: you promoted step 2 of 3');
  });

  it('of a name that fits several rollouts asks which one', async () => {
    const { target } = aPlan();
    await world.rollout('r1', { phase: inForce(1) });
    await world.rollout('r2', { plan: aPlan({ target: { ...target, namespace: 'staging' } }), phase: inForce(1) });
    const answer = await says('promote myapp');
    expect(answer).toContain('several rollouts of `myapp` are live');
    for (const id of ['r1', 'r2']) expect(answer).toContain(`\`${id}\``);
    expect(world.done).toEqual([]);
    await says('promote staging/myapp');
    expect(world.done).toEqual(['promote r2']);
  });
});

describe('abort', () => {
  it('sends all traffic back, with the reason that was given', async () => {
    await world.rollout('r1', { phase: inForce(1) });
    expect(await says('abort myapp carts are failing')).toContain('Done: all traffic goes back');
    expect(await phaseOf('r1')).toMatchObject({
      name: 'rolling_back',
      outcome: { message: expect.stringContaining('carts are failing') },
    });
  });

  it('never grows old: it is carried out however late', async () => {
    await world.rollout('r1', { phase: inForce(1) });
    await says('abort r1', { age: 60 * MINUTE });
    expect(world.done).toEqual(['abort r1']);
  });

  it('asked of an earlier rollout does not stop the one that followed', async () => {
    const late = stored(SLASH, { text: 'abort myapp' });
    world.clock.now += 1000;
    await world.rollout('r1', { phase: inForce(0) });
    await handleInbound(ports, late);
    expect(answers[0]).toContain('started after you asked');
    expect(world.done).toEqual([]);
  });

  it('by an old button is refused, with the words that do it all the same', async () => {
    await world.rollout('r1', { phase: inForce(2) });
    expect(await clicks('abort', 1)).toContain('has moved on to 50 %');
    expect(answers[0]).toContain('/rollout abort r1');
    expect(world.done).toEqual([]);
  });

  it('twice is one abort', async () => {
    await world.rollout('r1', { phase: inForce(1) });
    await clicks('abort', 1);
    await clicks('abort', 1);
    expect(world.done).toEqual(['abort r1']);
  });
});

describe('a worker', () => {
  const flow = () => ({ ...ports, inbound: memoryInbound(world.clock) });

  it('handles what was taken down, oldest first, and then rests', async () => {
    await world.rollout('r1', { phase: inForce(1) });
    const both = flow();
    await both.inbound.accept('a', SLASH, { teamId: 'T1', userId: 'U1', responseUrl: URL, text: 'status r1' });
    await both.inbound.accept('b', SLASH, { teamId: 'T1', userId: 'U1', responseUrl: URL, text: 'abort r1' });
    expect([await inboundStep(both), await inboundStep(both), await inboundStep(both)]).toEqual([0, 0, 500]);
    expect(answers[0]).toContain('progressing');
    expect(answers[1]).toContain('all traffic goes back');
    expect(both.inbound.waiting()).toBe(0);
  });

  it('tries again later when the store cannot be used, and forgets nothing', async () => {
    await world.rollout('r1', { phase: inForce(1) });
    const both = flow();
    await both.inbound.accept('a', SLASH, { teamId: 'T1', userId: 'U1', responseUrl: URL, text: 'abort r1' });
    const broken = {
      ...both,
      useCases: { ...both.useCases, get: async () => await Promise.reject(new Error('no database')) },
    };
    await inboundStep(broken);
    expect(both.inbound.waiting()).toBe(1);
    world.clock.now += 1000;
    await inboundStep(both);
    expect(world.done).toEqual(['abort r1']);
    expect(both.inbound.waiting()).toBe(0);
  });

  it('answers again when Slack did not take the answer, and acts once', async () => {
    await world.rollout('r1', { phase: waiting(1, world.clock.now - MINUTE) });
    const both = flow();
    await both.inbound.accept('a', SLASH, { teamId: 'T1', userId: 'U1', responseUrl: URL, text: 'promote r1' });
    let down = true;
    const respond: InboundPorts['respond'] = async (url, text) => {
      if (down) throw new Error('Slack answers 503');
      return await ports.respond(url, text);
    };
    await inboundStep({ ...both, respond });
    down = false;
    world.clock.now += 1000;
    await inboundStep({ ...both, respond });
    expect(answers).toEqual([expect.stringContaining('Done: you promoted step 2 of 3')]);
    expect(world.done).toEqual(['promote r1']);
  });

  it('gives up answering when Slack takes no more answers for that request', async () => {
    const both = flow();
    await both.inbound.accept('a', SLASH, { teamId: 'T1', userId: 'U1', responseUrl: URL, text: 'status' });
    world.clock.now += 31 * MINUTE;
    await inboundStep({ ...both, respond: async () => await Promise.reject(new Error('Slack answers 503')) });
    expect(both.inbound.waiting()).toBe(0);
  });

  it('drops what no version of it could have written, and says so', async () => {
    const both = flow();
    await both.inbound.accept('a', 'slack.unheard-of', {});
    await both.inbound.accept('b', BUTTON, { teamId: 'T1', userId: 'U1', responseUrl: URL, value: 'not ours' });
    await inboundStep(both);
    await inboundStep(both);
    expect(both.inbound.waiting()).toBe(0);
    expect(world.log.lines.filter(({ level }) => level === 'error')).toHaveLength(2);
  });
});

describe('the audit', () => {
  const kept = () => audit.rows.map(({ action, objectId, code, actor, via }) => [action, objectId, code, actor, via]);

  it('has every order that was refused, who gave it, and why it was refused', async () => {
    await world.rollout('r1', { phase: inForce(0) });
    await says('promote nothing');
    await clicks('promote', 2);
    await says('promote myapp', { age: 10 * MINUTE });
    who = { ...approver, role: 'viewer' };
    await says('abort myapp too slow');
    who = null;
    await says('abort myapp');
    expect(kept()).toEqual([
      ['rollout.promote', 'nothing', 'rollout_not_found', approver.name, 'slack'],
      ['rollout.promote', 'r1', 'moved_on', approver.name, 'slack'],
      ['rollout.promote', 'r1', 'too_late', approver.name, 'slack'],
      ['rollout.abort', 'myapp', 'forbidden', approver.name, 'slack'],
      ['rollout.abort', 'myapp', 'unauthenticated', 'slack U1', 'slack'],
    ]);
    expect(audit.rows.map(({ outcome, requestId }) => [outcome, requestId])).toEqual(
      audit.rows.map(() => ['refused', 'x']),
    );
    expect(audit.rows[3]?.reason).toBe('too slow');
  });

  it('has no row of a look, nor of words that are no order', async () => {
    who = null;
    await says('status');
    await says('sing');
    expect(kept()).toEqual([]);
  });

  it('hears with an order that is carried out that it came by Slack, and under which request', async () => {
    await world.rollout('r1', { phase: inForce(0) });
    const heard: (Principal['origin'] | undefined)[] = [];
    ports = {
      ...ports,
      useCases: {
        ...ports.useCases,
        command: (id, wanted, principal, expected) => {
          heard.push(principal.origin);
          return world.useCases.command(id, wanted, principal, expected);
        },
      },
    };
    await clicks('promote', 0);
    expect(heard).toEqual([{ via: 'slack', address: null, userAgent: null, requestId: 'x' }]);
  });
});

describe('somebody with a scope', () => {
  const places: Places = {
    sent: () => null,
    of: ({ namespace, service }) => ({ namespace, service, object: service }),
  };
  beforeEach(async () => {
    ports = { ...ports, useCases: scopedUseCases(world.useCases as UseCases, places) };
    await world.rollout('r1', { phase: inForce(0) });
  });

  it.each(['promote', 'pause', 'abort'])('is told where they may, and does not %s elsewhere', async (verb) => {
    who = { ...approver, scope: { namespaces: ['staging'], services: null } };
    const before = await phaseOf('r1');
    expect(await says(`${verb} myapp`)).toMatch(
      /^Nothing was done: .* may act only in the namespaces staging; this is/,
    );
    expect(await phaseOf('r1')).toEqual(before);
    expect(audit.rows).toMatchObject([{ action: `rollout.${verb}`, code: 'forbidden' }]);
  });

  it('is heard within it', async () => {
    who = { ...approver, scope: { namespaces: ['production'], services: ['myapp'] } };
    expect(await says('pause myapp')).toMatch(/^Done/);
  });

  it('looks everywhere', async () => {
    who = { ...approver, scope: { namespaces: ['staging'], services: null } };
    expect(await says('status')).toContain('production/myapp');
  });
});
