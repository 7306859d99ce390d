/** For people: where the requests to a service went, as the share and the unreached requests are counted. */
import type { Millis, Target } from '../../domain/plan.ts';
import type { View } from '../mesh.ts';
import { calledFor } from './called.ts';
import { countsQuery } from './templates.ts';

/** '': no view tells. */
export function shareQuery(views: readonly View[], target: Target, window: Millis): string {
  const view = views.find(({ share }) => share);
  if (view === undefined) return '';
  const names = [target.stable, target.canary].map((version) => String(version[view.key]));
  const services = view.unreached === undefined ? [] : calledFor(view.unreached, target).map(({ name }) => name);
  return countsQuery(view, { namespaces: [target.namespace], names, services }, window);
}
