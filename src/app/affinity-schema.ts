/** Session affinity as people write it, and what no single field of it can say. */
import { z } from 'zod';
import { affinityAt } from '../domain/affinity.ts';
import type { Plan, Target } from '../domain/plan.ts';
import type { InspectStep } from './step-schema.ts';
import { durationSchema } from './units.ts';
import type { Problem } from './usecases.ts';

/** Of what a cookie's name and path may hold only what no proxy reads as a command: in Envoy a "%" begins one. */
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const PATH = /^\/[A-Za-z0-9_.~/-]{0,255}$/;
/** Browsers take these only with Secure, the second one only with Path=/ besides. */
const PREFIXES = ['__Secure-', '__Host-'] as const;

export const sessionAffinity = z
  .strictObject({
    cookie: z
      .string()
      .regex(NAME, 'wanted the name of a cookie: 1 to 64 of A-Z, a-z, 0-9, "_", "-", "."')
      .default('sluice-session'),
    maxAge: durationSchema('1s', '30d')
      .prefault('1h')
      .describe('How long a user is known after the last request: every answer renews the cookie.'),
    path: z
      .string()
      .regex(PATH, 'wanted a path like "/" or "/shop": letters, digits, "_", "-", ".", "~", "/"')
      .default('/'),
    secure: z.boolean().default(false).describe('Browsers send the cookie over HTTPS only.'),
    sameSite: z.enum(['Lax', 'Strict', 'None']).default('Lax'),
  })
  .refine(({ sameSite, secure }) => sameSite !== 'None' || secure, {
    error: 'browsers take SameSite=None only with Secure: set secure to true',
    path: ['sameSite'],
  })
  .refine(({ cookie, secure }) => secure || !PREFIXES.some((prefix) => cookie.startsWith(prefix)), {
    error: `browsers take a cookie whose name begins with ${PREFIXES.join(' or ')} only with Secure: set secure to true`,
    path: ['cookie'],
  })
  .refine(({ cookie, path }) => path === '/' || !cookie.startsWith('__Host-'), {
    error: 'browsers take a cookie whose name begins with __Host- only with the path "/"',
    path: ['path'],
  });

export function affinityProblems(plan: Plan, target: Target | null, inspect: InspectStep): readonly Problem[] {
  if (plan.sessionAffinity === undefined) return [];
  const problems: Problem[] = [];
  const at = '/sessionAffinity';
  const [affinity] = plan.steps.flatMap((_, step) => affinityAt(plan, step) ?? []);
  if (affinity === undefined)
    problems.push({
      pointer: at,
      code: 'no_weight',
      message: 'no step divides users between both versions, so there is nobody to keep: leave sessionAffinity out',
    });
  const objection = target === null || affinity === undefined ? null : inspect(affinity, target);
  if (objection !== null) problems.push({ pointer: at, code: 'unsupported_step', message: objection });
  if (plan.analysis.evidence?.mode === 'independent')
    problems.push({
      pointer: '/analysis/evidence/mode',
      code: 'not_independent',
      message:
        'with sessionAffinity the requests of one user all go to one version, so they do not fail independently of each other: set analysis.evidence.mode to auto or robust',
    });
  return problems;
}
