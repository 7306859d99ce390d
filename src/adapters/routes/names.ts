/** Names in targets, so narrow that none can end a PromQL string, a path segment or a JSON pointer. */
import { z } from 'zod';

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** RFC 1123 label, at most 63: namespaces, Services, subsets. */
export const label = () =>
  z
    .string()
    .max(63, 'wanted at most 63 characters')
    .regex(LABEL, 'wanted a-z, 0-9 and "-", starting and ending with a letter or digit');

/** RFC 1123 subdomain, at most 253: other Kubernetes names, hosts. */
export const subdomain = () =>
  z
    .string()
    .max(253, 'wanted at most 253 characters')
    .regex(SUBDOMAIN, 'wanted a-z, 0-9, "-" and ".", each part starting and ending with a letter or digit');

/** A rule's own name, which the mesh does not restrict; compared, never built into anything. */
export const ruleName = () =>
  z
    .string()
    .max(253, 'wanted at most 253 characters')
    .regex(
      /^[^\p{C}\p{Z}"'`\\{}]([^\p{C}"'`\\{}]*[^\p{C}\p{Z}"'`\\{}])?$/u,
      'wanted a name without quotes, braces, backslashes and control characters',
    );

export const portNumber = () => z.int().min(1).max(65_535);

/** Position of a rule in its list, from 0. */
export const ruleIndex = () => z.int().min(0).max(10_000);

export const ruleNames = () =>
  z
    .array(ruleName())
    .min(1, 'wanted at least one rule')
    .max(16, 'wanted at most 16 rules')
    .refine((names) => new Set(names).size === names.length, 'wanted each rule once');

/** Fields that every mesh's target begins with. */
export const common = {
  cluster: label().default('default').describe('Name of the cluster in the configuration.'),
  namespace: label().describe('Namespace of the Deployments and of the mesh object.'),
  service: label().describe('Service that clients call.'),
} as const;
