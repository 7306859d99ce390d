/**
 * The write protocol, once for every kind of route: one JSON patch that holds the resourceVersion that was read, a test of
 * each destination, the decision and the weights. Nothing else of the object is sent, so nothing else can change.
 */
import type { Applied, Cleared, Concluded, Decision, Ending, ReadOptions, TrafficRouter } from '../../app/ports.ts';
import type { Lag, Route, RouteTrouble } from '../../domain/observation.ts';
import type { Weight } from '../../domain/plan.ts';
import type { Stamp } from '../../domain/rollout.ts';
import { compareStamps } from '../../domain/rollout.ts';
import { sameKinds } from '../../domain/temporary.ts';
import type { Kube, KubeClient, KubeObject, KubeTrouble, ObjectRef, PatchOp } from '../kubernetes/kube.ts';
import { DECISION_ANNOTATION, encodeDecision, encodeEnding, OUTCOME_ANNOTATION, stampOn } from './decision.ts';
import { pointer } from './pointer.ts';
import type { Naming } from './refusals.ts';
import * as refuse from './refusals.ts';
import type { Parts, Split } from './split.ts';
import { ruleOps } from './split.ts';
import type { TemporaryRules } from './temporary-rules.ts';
import { lastWriter } from './writers.ts';

export interface RouteKind {
  readonly naming: Naming;
  readonly group: string;
  readonly plural: string;
  readonly namespace: string;
  readonly name: string;
  /** Field of the spec that holds the weights. */
  readonly field: string;
  /** Versions to talk, best first, out of those that the cluster serves. */
  versions(served: readonly string[]): readonly string[];
  /** Versions that could be talked, for people. */
  readonly known: readonly string[];
  /** `goingBack`: see `splitOf`. */
  split(object: KubeObject, goingBack: boolean): Split | RouteTrouble;
  /** Does every request for the service pass the rules of the split? */
  carriesAllTraffic(object: KubeObject, split: Split): boolean;
  /** Rules of ours beside the weights. Absent: this kind has none. */
  readonly temporary?: TemporaryRules;
  /**
   * How far the copy lags by which the proxies go, where they do not go by the object itself; null: not at all. Absent: there
   * is no copy. Trouble with reading it is a lag, too: it must keep no rollback from being written.
   */
  readonly lag?: (object: KubeObject, kube: KubeClient, fresh: boolean) => Promise<Lag | null>;
  /** What to write for a canary weight, in the units of this object. */
  parts(object: KubeObject, split: Split, canary: Weight): Parts;
}

type Found = { readonly ok: true; readonly value: KubeObject } | { readonly ok: false; readonly trouble: RouteTrouble };

/** Opens one object. Keeps what it read last, so that a write of the same resourceVersion needs no second read. */
export function openRoute(kind: RouteKind, kube: KubeClient): RouteRouter {
  return new RouteRouter(kind, kube);
}

export class RouteRouter implements TrafficRouter {
  readonly object: string;
  readonly #kind: RouteKind;
  readonly #kube: KubeClient;
  #version: string | null = null;
  #last: KubeObject | null = null;

  constructor(kind: RouteKind, kube: KubeClient) {
    this.object = kind.naming.object;
    this.#kind = kind;
    this.#kube = kube;
  }

  async read(options?: ReadOptions): Promise<Route> {
    const found = await this.find(options?.fresh === true);
    if (!found.ok) return found.trouble;
    const object = found.value;
    const split = this.#kind.split(object, options?.goingBack === true);
    if (!split.ok) return this.#withOwn(object, split);
    const lag = (await this.#kind.lag?.(object, this.#kube, options?.fresh === true)) ?? null;
    return {
      ok: true,
      canaryWeight: split.canaryWeight,
      stamp: stampOn(object),
      carriesAllTraffic: this.#kind.carriesAllTraffic(object, split),
      temporary: this.#kind.temporary?.found(object).map(({ kind }) => kind) ?? [],
      token: tokenOf(object),
      lastWriter: lastWriter(object, this.#kind.field),
      ...(lag === null ? {} : { lag }),
    };
  }

  /** What became of the rule that is moved says nothing of those that the rollout put before it. */
  #withOwn(object: KubeObject, trouble: RouteTrouble): RouteTrouble {
    const own = this.#kind.temporary?.found(object) ?? [];
    if (own.length === 0) return trouble;
    const kinds = [...new Set(own.map(({ kind }) => kind))].join(', ');
    return {
      ...trouble,
      message: `${trouble.message}. Rules of the rollout's own (${kinds}) still stand and may lead to the canary: abort takes them away`,
    };
  }

  async apply(decision: Decision, token: string): Promise<Applied> {
    return this.#write(decision, token, false);
  }

  async rehearse(decision: Decision, token: string): Promise<Applied> {
    return this.#write(decision, token, true);
  }

  async conclude(ending: Ending): Promise<Concluded> {
    const path = pointer('metadata', 'annotations', OUTCOME_ANNOTATION);
    const value = encodeEnding(ending);
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.find(true);
      if (!found.ok) return { kind: 'left', message: found.trouble.message };
      if (!sameStamp(found.value, ending)) return { kind: 'left', message: 'another decision stands on the object' };
      const answer = await this.#kube.patch(this.#ref(this.#version ?? ''), [
        { op: 'replace', path: '/metadata/resourceVersion', value: tokenOf(found.value) },
        { op: 'add', path, value },
      ]);
      if (answer.ok) {
        this.#last = answer.value;
        return { kind: 'written' };
      }
      if (answer.code !== 'conflict' || attempt === CONCLUDE_ATTEMPTS)
        return { kind: 'left', message: refuse.fromKube(this.#kind.naming, answer).message };
    }
  }

  /** As `LeftoverGateway`. */
  async clear(rollout: string): Promise<Cleared> {
    const { object } = this;
    const found = await this.find(true);
    if (!found.ok && found.trouble.code === 'not_found') return { kind: 'nothing', object, message: 'it is gone' };
    if (!found.ok) return { kind: 'trouble', message: found.trouble.message };
    const read = found.value;
    const stamp = stampOn(read);
    if (stamp !== null && stamp.rollout !== rollout)
      return { kind: 'nothing', object, message: `the decision of rollout ${stamp.rollout} stands there, not its own` };
    const standing = this.#kind.temporary?.found(read) ?? [];
    const others = standing.find((one) => one.rollout !== rollout);
    if (others !== undefined)
      return { kind: 'nothing', object, message: `rules of rollout ${others.rollout} stand there, and are left alone` };
    if (standing.length === 0) return { kind: 'nothing', object, message: 'none of its rules stands there' };
    const ops = this.#kind.temporary?.ops(read, NO_RULES, nothingOf(rollout)) ?? [];
    const answer = await this.#kube.patch(this.#ref(this.#version ?? ''), [
      { op: 'replace', path: '/metadata/resourceVersion', value: tokenOf(read) },
      ...ops,
    ]);
    if (!answer.ok) return { kind: 'trouble', message: refuse.fromKube(this.#kind.naming, answer).message };
    this.#last = answer.value;
    return { kind: 'cleared', object, rules: standing.length };
  }

  /** The object itself, in a version that can be written without loss. */
  async find(fresh: boolean): Promise<Found> {
    const read = (ref: ObjectRef): Promise<Kube<KubeObject>> => (fresh ? this.#kube.get(ref) : this.#kube.read(ref));
    if (this.#version !== null) {
      const answer = await read(this.#ref(this.#version));
      if (answer.ok || answer.code !== 'kind_not_served') return this.#found(answer, this.#version);
    }
    const served = await this.#kube.versions(this.#kind.group);
    if (!served.ok) return { ok: false, trouble: refuse.fromKube(this.#kind.naming, served) };
    // The group's versions are those of all its kinds: one that this kind lacks answers "not served".
    for (const version of this.#kind.versions(served.value)) {
      const answer = await read(this.#ref(version));
      if (answer.ok || answer.code !== 'kind_not_served') return this.#found(answer, version);
    }
    return { ok: false, trouble: refuse.notServed(this.#kind.naming, served.value, this.#kind.known) };
  }

  #found(answer: Kube<KubeObject>, version: string): Found {
    if (!answer.ok) return { ok: false, trouble: refuse.fromKube(this.#kind.naming, answer) };
    this.#version = version;
    this.#last = answer.value;
    return { ok: true, value: answer.value };
  }

  #ref(version: string): ObjectRef {
    const { group, plural, namespace, name } = this.#kind;
    return { group, version, plural, namespace, name };
  }

  // ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async #write(decision: Decision, token: string, dryRun: boolean): Promise<Applied> {
    const found = await this.#objectAt(token);
    if (!found.ok) return { kind: 'trouble', trouble: found.trouble };
    const object = found.value;
    const newer = newerStamp(object, decision);
    if (newer !== null) return { kind: 'superseded', by: newer };
    if (tokenOf(object) !== token) return { kind: 'conflict' };
    const split = this.#kind.split(object, decision.goingBack);
    if (!split.ok) return { kind: 'trouble', trouble: split };
    const objection = this.#objection(object, split, decision);
    if (objection !== null) return { kind: 'trouble', trouble: objection };
    const applied = { kind: 'applied', token, before: split.canaryWeight, after: decision.canaryWeight } as const;
    if (this.#isInPlace(object, split, decision)) return applied;
    // A destination that stands alone has everything: there is no number that could give the other one a share.
    const alone = split.rules.find((rule) => rule.stable === null);
    if (alone !== undefined && decision.canaryWeight !== 100)
      return { kind: 'trouble', trouble: refuse.stableAbsent(this.#kind.naming, alone.rule) };
    const doubt = this.#kind.temporary?.doubt?.(decision.temporary) ?? null;
    if (doubt !== null && !dryRun) {
      const tried = await this.#write(decision, token, true);
      if (tried.kind !== 'applied') return tried;
    }
    const answer = await this.#kube.patch(this.#ref(this.#version ?? ''), this.#ops(object, split, decision, token), {
      dryRun,
    });
    if (!answer.ok) return this.#refused(answer, decision, token, split.canaryWeight, dryRun);
    if (!dryRun) this.#last = answer.value;
    const wrong =
      doubt !== null && !this.#hasTemporary(answer.value, decision) ? doubt : this.#notKept(answer.value, decision);
    return wrong === null
      ? { ...applied, token: dryRun ? token : tokenOf(answer.value) }
      : { kind: 'trouble', trouble: wrong };
  }

  /** What was read as `token`, or else the object as it is now. */
  async #objectAt(token: string): Promise<Found> {
    if (this.#last !== null && this.#version !== null && tokenOf(this.#last) === token)
      return { ok: true, value: this.#last };
    return this.find(true);
  }

  #ops(object: KubeObject, split: Split, decision: Decision, token: string): readonly PatchOp[] {
    const parts = this.#kind.parts(object, split, decision.canaryWeight);
    const seal = this.#kind.temporary?.seal?.(object, split, decision) ?? null;
    const value = encodeDecision(decision, seal);
    return [
      // `replace`, not `test`: a stale one answers 409 instead of a 422 that does not say which operation failed.
      { op: 'replace', path: '/metadata/resourceVersion', value: token },
      ...split.rules.flatMap((rule) => ruleOps(rule, parts)),
      ...(object.metadata.annotations === undefined
        ? [{ op: 'add', path: '/metadata/annotations', value: {} } as const]
        : []),
      { op: 'add', path: pointer('metadata', 'annotations', DECISION_ANNOTATION), value },
      // Last: they move the positions that the operations before them name.
      ...(this.#kind.temporary?.ops(object, split, decision) ?? []),
    ];
  }

  #isInPlace(object: KubeObject, split: Split, decision: Decision): boolean {
    return (
      sameStamp(object, decision) &&
      this.#hasTemporary(object, decision) &&
      split.rules.every((rule) => Math.abs(rule.canaryWeight - decision.canaryWeight) < 1e-9)
    );
  }

  #hasTemporary(object: KubeObject, decision: Decision): boolean {
    const found = this.#kind.temporary?.found(object).map(({ kind }) => kind) ?? [];
    return sameKinds(
      found,
      decision.temporary.map(({ kind }) => kind),
    );
  }

  /** What this kind of route cannot carry. The way back asks for nothing. */
  #objection(object: KubeObject, split: Split, { temporary }: Decision): RouteTrouble | null {
    if (temporary.length === 0) return null;
    return this.#kind.temporary === undefined
      ? refuse.noTemporary(this.#kind.naming, temporary)
      : this.#kind.temporary.objection(object, split, temporary);
  }

  /** 200 is not proof: fields unknown to the served version are dropped, and webhooks change objects. null: all is there. */
  #notKept(answer: KubeObject, decision: Decision): RouteTrouble | null {
    const split = this.#kind.split(answer, decision.goingBack);
    if (split.ok && this.#isInPlace(answer, split, decision)) return null;
    const weight = split.ok
      ? `canary weight ${split.canaryWeight} % where ${decision.canaryWeight} % was written`
      : split.message;
    const rules = this.#hasTemporary(answer, decision) ? '' : "; the rollout's own rules are not as they were written";
    const stamp = sameStamp(answer, decision) ? '' : `; annotation ${DECISION_ANNOTATION} is not as it was written`;
    return refuse.notKept(this.#kind.naming, `${weight}${rules}${stamp}`, this.#version ?? '');
  }

  async #refused(
    answer: KubeTrouble,
    decision: Decision,
    token: string,
    before: number,
    dryRun: boolean,
  ): Promise<Applied> {
    // Looked at again also so that a cache behind `read` does not hand out the same stale object at once.
    if (answer.code === 'conflict') return this.#whatStands(decision, before, { kind: 'conflict' });
    const trouble = refuse.fromKube(this.#kind.naming, answer);
    if (answer.code === 'invalid') return this.#afterInvalid(trouble, token, decision);
    // The patch may have been stored although no answer came.
    if (!dryRun && outcomeUnknown(answer)) return this.#whatStands(decision, before, { kind: 'trouble', trouble });
    return { kind: 'trouble', trouble };
  }

  /** 422 says the same for a destination that moved and for a schema that said no: look again. */
  async #afterInvalid(trouble: RouteTrouble, token: string, decision: Decision): Promise<Applied> {
    const found = await this.find(true);
    if (!found.ok) return { kind: 'trouble', trouble: found.trouble };
    const split = this.#kind.split(found.value, decision.goingBack);
    if (!split.ok) return { kind: 'trouble', trouble: split };
    return tokenOf(found.value) === token ? { kind: 'trouble', trouble } : { kind: 'conflict' };
  }

  /** The object itself tells what became of a write: it is in place, a newer decision came first, or `otherwise`. */
  async #whatStands(decision: Decision, before: number, otherwise: Applied): Promise<Applied> {
    const found = await this.find(true);
    if (!found.ok) return otherwise;
    const newer = newerStamp(found.value, decision);
    if (newer !== null) return { kind: 'superseded', by: newer };
    const split = this.#kind.split(found.value, decision.goingBack);
    if (!split.ok || !this.#isInPlace(found.value, split, decision)) return otherwise;
    return { kind: 'applied', token: tokenOf(found.value), before, after: decision.canaryWeight };
  }
}

/** Others may write the object at the same time; whoever keeps doing so is not waited for. */
const CONCLUDE_ATTEMPTS = 3;

/** No rule is moved: rules of ours are taken away by their names and marks alone, whatever people made of the others. */
const NO_RULES: Split = { ok: true, rules: [], canaryWeight: 0 };

const nothingOf = (rollout: string): Decision => ({
  stamp: { rollout, epoch: 0, generation: 0 },
  canaryWeight: 0,
  temporary: [],
  goingBack: true,
  fact: null,
  step: null,
  from: null,
  reason: '',
  actor: '',
  at: 0,
  link: null,
});

const tokenOf = (object: KubeObject): string => object.metadata.resourceVersion ?? '';

/** The stamp on the object where it is newer than this decision; null: it is not. */
function newerStamp(object: KubeObject, decision: Decision): Stamp | null {
  const seen = stampOn(object);
  return seen !== null && compareStamps(seen, decision.stamp) > 0 ? seen : null;
}

const sameStamp = (object: KubeObject, { stamp }: Pick<Decision, 'stamp'>): boolean => {
  const seen = stampOn(object);
  return seen !== null && seen.rollout === stamp.rollout && compareStamps(seen, stamp) === 0;
};

/** No answer, or one from something in between. Only 429 surely comes before any work; all else may have been stored. */
const outcomeUnknown = ({ code, status }: KubeTrouble): boolean =>
  code === 'timeout' || (code === 'unavailable' && status !== 429);
