/** The http rules of the sandbox's VirtualService, as they are stored. */
import { openApi } from '../../src/sandbox/data-plane/api.ts';
import { NAMESPACE, SEEDS } from '../../src/sandbox/seeds.ts';
import type { Loop } from './closed-loop.ts';

export type Rule = Readonly<Record<string, unknown>>;

export interface IstioRules {
  all(): Promise<readonly Rule[]>;
  /** Names of those that a rollout has added. */
  own(): Promise<readonly string[]>;
}

export function istioRules({ sandbox }: Loop): IstioRules {
  const { kind, name } = SEEDS.istio.route;
  const api = openApi(sandbox.kubeApiUrl, NAMESPACE, 'test');
  const all = async (): Promise<readonly Rule[]> => {
    const { spec } = await api.get(kind, name);
    return (spec as { http: readonly Rule[] }).http;
  };
  return {
    all,
    own: async () => (await all()).map((rule) => String(rule['name'])).filter((rule) => rule.startsWith('sluice-')),
  };
}
