/** TrafficSplit (split.smi-spec.io) in the versions that linkerd-smi serves and in the later ones, and Linkerd's ServiceProfile. */
import { anything, flag, int32, intOrText, list, number, object, type Schema, text } from '../schema.ts';

const backends = (weight: Schema): Schema => list(object({ service: text, weight }, 'service', 'weight'));

/** v1alpha1: weights are quantities, `900m` or 1. */
export const trafficSplitQuantities: Schema = object({
  spec: object({ service: text, backends: backends(intOrText) }, 'service', 'backends'),
});

/** v1alpha2: weights are numbers. Objects stored as quantities can be read through it and no longer be written. */
export const trafficSplitNumbers: Schema = object({
  spec: object({ service: text, backends: backends(number) }, 'service', 'backends'),
});

/** v1alpha3 and v1alpha4 add `matches` for A/B tests. */
export const trafficSplitMatches: Schema = object({
  spec: object(
    {
      service: text,
      backends: backends(number),
      matches: list(object({ apiGroup: text, kind: text, name: text }, 'kind', 'name')),
    },
    'service',
    'backends',
  ),
});

const condition = {
  all: list(anything),
  any: list(anything),
};

export const serviceProfile: Schema = object({
  spec: object({
    dstOverrides: list(object({ authority: text, weight: intOrText })),
    opaquePorts: list(text),
    retryBudget: object(
      { minRetriesPerSecond: int32, retryRatio: number, ttl: text },
      'minRetriesPerSecond',
      'retryRatio',
      'ttl',
    ),
    routes: list(
      object(
        {
          condition: object({ ...condition, method: text, not: list(anything), pathRegex: text }),
          isRetryable: flag,
          name: text,
          responseClasses: list(
            object(
              {
                condition: object({ ...condition, not: anything, status: object({ max: int32, min: int32 }) }),
                isFailure: flag,
              },
              'condition',
            ),
          ),
          timeout: text,
        },
        'condition',
        'name',
      ),
    ),
  }),
});
