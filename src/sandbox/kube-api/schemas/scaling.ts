/** HorizontalPodAutoscaler (autoscaling/v2): the fields that a tool reads; the rest is kept as it comes. */
import { anything, int32, list, object, type Schema, text } from '../schema.ts';

export const horizontalPodAutoscaler: Schema = object({
  spec: object(
    {
      behavior: anything,
      maxReplicas: { ...int32, minimum: 1 },
      metrics: list(anything),
      minReplicas: { ...int32, minimum: 0 },
      scaleTargetRef: object({ apiVersion: text, kind: text, name: text }, 'kind', 'name'),
    },
    'scaleTargetRef',
    'maxReplicas',
  ),
  status: anything,
});
