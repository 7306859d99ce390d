/** The trust policy as people write it (docs/ci.md, docs/page.md) -> Trust. Every problem at once, each with its JSON pointer. */
import { z } from 'zod';
import { type Identities, NOTHING_JOINED } from '../../domain/person.ts';
import { pointerTo } from '../document-problems.ts';
import { PRINCIPAL_ROLES, type Scope } from '../ports.ts';
import { durationSchema } from '../units.ts';
import { CLAIM } from './login.ts';
import { claimsForRules, PIPELINE_KINDS, PIPELINES, type Pipeline, pipelineOf } from './pipelines.ts';
import type { CiTrust, Trust } from './trust.ts';

export type ReadTrust =
  | { readonly ok: true; readonly trust: Trust }
  /** "/ci/rules/0/match: ..." */
  | { readonly ok: false; readonly problems: readonly string[] };

export function readTrust(document: unknown): ReadTrust {
  const parsed = trustSchema.safeParse(document);
  if (parsed.success) return { ok: true, trust: parsed.data };
  return {
    ok: false,
    problems: parsed.error.issues.map(({ path, message }) => `${pointerTo(path) || '/'}: ${message}`),
  };
}

// ── issuers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Keys that come unencrypted are anybody's. Plain http only where nobody is on the way. */
export function isTrustworthy(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, username, password, hash } = new URL(text);
  if (username !== '' || password !== '' || hash !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && /^(127(\.\d{1,3}){3}|localhost|\[::1\])$/.test(hostname));
}

/** Compared letter by letter with `iss`: not normalised. */
const issuer = z.string().refine((text) => isTrustworthy(text) && new URL(text).search === '', {
  error: ({ input }) => `wanted an issuer like https://idp.example.com; found ${JSON.stringify(input)}`,
});

// ── who may touch what ──────────────────────────────────────────────────────────────────────────────────────────────

/** Of a namespace, a service or a mesh object. */
export const SCOPED_NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const names = z.array(z.string().regex(SCOPED_NAME, 'wanted a name as Kubernetes has it')).min(1).optional();
const scoped = { namespaces: names, services: names };

const scopeOf = ({ namespaces = null, services = null }: Partial<Scope>): Scope | null =>
  namespaces === null && services === null ? null : { namespaces, services };

// ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const grant = z
  .strictObject({
    group: z.string().min(1).max(500).optional(),
    everybody: z.literal(true).optional(),
    role: z.enum(PRINCIPAL_ROLES),
    ...scoped,
  })
  .refine(({ group, everybody }) => (group === undefined) === (everybody === true), {
    message: 'wanted either group, or everybody: true',
  })
  .transform(({ group, role, namespaces, services }) => ({
    group: group ?? null,
    role,
    scope: scopeOf({ namespaces: namespaces ?? null, services: services ?? null }),
  }));

/** `email` is `{email}`. */
const personTemplate = z
  .string()
  .min(1)
  .max(200)
  .transform((text) => (text.includes('{') ? text : `{${text}}`))
  .refine((text) => text.match(CLAIM) !== null && !/[{}]/.test(text.replaceAll(CLAIM, '')), {
    error: ({ input }) =>
      `wanted a claim, or text with {claim}s, as "github:{github_login}"; found ${JSON.stringify(input)}`,
  })
  .refine((text) => !text.startsWith('oidc:'), 'names that begin with oidc: are those of the provider itself');

const login = z.strictObject({
  issuer,
  clientId: z.string().min(1).max(500),
  label: z.string().min(1).max(60).default('single sign-on'),
  scopes: z
    .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/))
    .refine((scopes) => scopes.includes('openid'), 'wanted openid among them')
    .default(['openid', 'profile', 'email']),
  groupsClaim: z.string().min(1).max(500).default('groups'),
  persons: z.array(personTemplate).max(5).default(['{email}']),
  trustUnverifiedEmail: z.boolean().default(false),
  session: durationSchema('5m', '12h').prefault('8h'),
  roles: z
    .array(grant)
    .min(1)
    .max(100)
    .refine((roles) => new Set(roles.map(({ group }) => group)).size === roles.length, 'a group is named twice'),
});

const personName = z.string().trim().min(1).max(300);

const identities = z
  .strictObject({
    people: z
      .array(z.strictObject({ person: personName, aka: z.array(personName).min(1).max(20) }))
      .max(5_000)
      .default([]),
    kindsDiffer: z.boolean().default(false),
  })
  .check(({ value: { people }, issues }) => {
    const seen = new Map<string, string>();
    for (const [index, { person, aka }] of people.entries())
      for (const name of new Set([person, ...aka].map((one) => one.toLowerCase()))) {
        const other = seen.get(name);
        if (other !== undefined)
          issues.push({
            code: 'custom',
            input: people,
            path: ['people', index],
            message: `${JSON.stringify(name)} is a name of ${other} already: wanted each name once, all of a person's in one entry`,
          });
        seen.set(name, person);
      }
  })
  .transform(
    ({ people, kindsDiffer }): Identities => ({
      people: people.map(({ person, aka }) => [person, ...aka]),
      kindsDiffer,
    }),
  );

// ── pipelines ───────────────────────────────────────────────────────────────────────────────────────────────────────

const value = z.union([z.string(), z.int(), z.boolean()]).transform(String).pipe(z.string().min(1).max(500));
const values = z
  .union([value, z.array(value).min(1).max(100)], { error: 'wanted a value, or a list of values' })
  .transform((found) => [found].flat());

const ci = z
  .strictObject({
    audience: z.string().min(1).max(500),
    /** What rules may give. A pipeline that may promote approves itself, so that has to be said here. */
    roles: z.array(z.enum(PRINCIPAL_ROLES)).min(1).default(['viewer', 'deployer']),
    issuers: z
      .record(
        z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/),
        z.strictObject({ kind: z.enum(PIPELINE_KINDS), issuer: issuer.optional() }),
      )
      .prefault({ github: { kind: 'github' } }),
    rules: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(100),
          issuer: z.string(),
          match: z.record(z.string(), values),
          role: z.enum(PRINCIPAL_ROLES).default('deployer'),
          ...scoped,
          principal: z.string().min(1).max(200).optional(),
        }),
      )
      .min(1)
      .max(500),
  })
  .check(({ value: policy, issues }) => {
    const object = (path: readonly PropertyKey[], message: string): void =>
      void issues.push({ code: 'custom', input: policy, path: [...path], message });
    const addresses = Object.entries(policy.issuers).map(([name, one]) => [name, issuerOf(one)] as const);
    for (const [index, [name, address]] of addresses.entries())
      if (addresses.slice(0, index).some(([, other]) => other === address))
        object(['issuers', name], `${address} is named twice`);
    for (const [index, rule] of policy.rules.entries()) {
      const at = ['rules', index];
      if (policy.rules.slice(0, index).some(({ name }) => name === rule.name))
        object([...at, 'name'], `another rule is called ${JSON.stringify(rule.name)}`);
      if (!policy.roles.includes(rule.role))
        object([...at, 'role'], `wanted one of /ci/roles (${policy.roles.join(', ')}); found ${rule.role}`);
      const from = Object.hasOwn(policy.issuers, rule.issuer) ? policy.issuers[rule.issuer] : undefined;
      if (from === undefined) {
        const known = Object.keys(policy.issuers).join(', ');
        object([...at, 'issuer'], `wanted one of /ci/issuers (${known}); found ${JSON.stringify(rule.issuer)}`);
        continue;
      }
      for (const [path, message] of objections(rule, pipelineOf(from.kind))) object([...at, ...path], message);
    }
  })
  .transform(
    ({ audience, issuers, rules }): CiTrust => ({
      audience,
      issuers: Object.fromEntries(
        Object.entries(issuers).map(([name, one]) => [name, { kind: one.kind, issuer: issuerOf(one) }]),
      ),
      rules: rules.map(({ namespaces, services, principal, ...rule }) => ({
        ...rule,
        scope: scopeOf({ namespaces: namespaces ?? null, services: services ?? null }),
        // The issuer is known: the check above has seen it.
        principal: principal ?? pipelineOf(issuers[rule.issuer]?.kind ?? 'github').principal,
      })),
    }),
  );

const issuerOf = ({ kind, issuer: named }: { kind: keyof typeof PIPELINES; issuer?: string | undefined }): string =>
  named ?? PIPELINES[kind].issuer;

interface Written {
  readonly match: Readonly<Record<string, readonly string[]>>;
  readonly principal?: string | undefined;
}

function objections({ match, principal }: Written, pipeline: Pipeline): [readonly PropertyKey[], string][] {
  const { ids, places, patterns, shown } = pipeline;
  const known = claimsForRules(pipeline);
  const named = Object.keys(match);
  const found: [readonly PropertyKey[], string][] = [];
  for (const claim of named.filter((one) => !known.includes(one)))
    found.push([['match', claim], `wanted one of the claims ${known.join(', ')}; found ${JSON.stringify(claim)}`]);
  if (!named.some((claim) => ids.includes(claim)))
    found.push([['match'], `wanted an id (${ids.join(' or ')}): names can be given to somebody else; found none`]);
  if (!named.some((claim) => places.includes(claim)))
    found.push([['match'], `wanted ${places.join(', ')}, or several: without it every branch fits; found none`]);
  for (const [claim, wanted] of Object.entries(match))
    for (const one of wanted) {
      if (ids.includes(claim) && !/^\d+$/.test(one))
        found.push([['match', claim], `wanted the number, not the name; found ${JSON.stringify(one)}`]);
      if (one.includes('*') && !patterns.includes(claim))
        found.push([['match', claim], `* stands for other characters only in ${patterns.join(', ')}`]);
      if (one.split('*').length > 2)
        found.push([['match', claim], `wanted at most one *; found ${JSON.stringify(one)}`]);
    }
  for (const [, claim = ''] of (principal ?? '').matchAll(/\{([^}]*)\}/g))
    if (!shown.includes(claim))
      found.push([['principal'], `wanted {claim} of ${shown.join(', ')}; found ${JSON.stringify(claim)}`]);
  return found;
}

const trustSchema = z
  .strictObject({ login: login.optional(), ci: ci.optional(), identities: identities.optional() })
  .refine((read) => Object.values(read).some((part) => part !== undefined), 'wanted login, ci, identities or several')
  .transform(
    (read): Trust => ({
      login: read.login ?? null,
      ci: read.ci ?? null,
      identities: read.identities ?? NOTHING_JOINED,
    }),
  );
