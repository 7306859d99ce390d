/** What the published schema says of a step that leaves its hold out. */
import { z } from 'zod';
import { planParser } from '../../src/app/plan-schema.ts';
import type { Target } from '../../src/domain/plan.ts';

export function planJsonDefaults(): { readonly hold: string } {
  const any = { kind: 'any', target: z.looseObject({}) as unknown as z.ZodType<Target> };
  const { properties } = planParser([any], [], () => null).jsonSchema as {
    properties: { steps: { anyOf: { type: string; items: { properties: { hold: { default: string } } } }[] } };
  };
  // A list of steps, or a template.
  const list = properties.steps.anyOf.find(({ type }) => type === 'array');
  if (list === undefined) throw new Error('the published schema has no list of steps');
  return { hold: list.items.properties.hold.default };
}
