/** What a caller's Istio proxy does with one request, before it looks for a pod: by the objects and by chance, and nothing else. */
import type { Random } from './random.ts';
import { weighted } from './random.ts';
import type { Asked, Destination, Fault, Rule, Weighted } from './routing.ts';
import { straightTo } from './routing.ts';
import type { Table } from './table.ts';

export type Decision =
  /** The proxy answers itself. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly flags: string;
      readonly text: string;
      readonly service: Destination;
    }
  | {
      readonly kind: 'send';
      readonly rule: Rule;
      readonly chosen: Weighted;
      /** Also there, without waiting for an answer. */
      readonly mirrors: readonly Destination[];
      /** Injected wait in milliseconds; null: none. */
      readonly delay: number | null;
      /** Injected answer, after the wait; null: none. */
      readonly abort: number | null;
    };

export function decide(table: Pick<Table, 'service' | 'rules'>, asked: Asked, random: Random): Decision {
  const service = table.service(asked.host);
  const rules = table.rules(asked.host);
  const rule = rules === null ? direct(service) : rules.find((candidate) => candidate.matches(asked));
  if (rule === undefined) return { kind: 'answer', status: 404, flags: 'NR', text: 'no route', service };
  const chosen = weighted(rule.backends, random);
  if (chosen === undefined) return { kind: 'answer', status: 500, flags: 'NR', text: 'no backend', service };
  return { kind: 'send', rule, chosen, ...hit(rule.fault, random), mirrors: mirrored(rule, random) };
}

const direct = (service: Destination): Rule =>
  straightTo({ group: '', kind: 'Service', namespace: service.namespace, name: service.service }, service);

/** Chance is only asked where there is something to decide, so that other choices stay as they were. */
function hit(fault: Fault | null, random: Random): { readonly delay: number | null; readonly abort: number | null } {
  if (fault === null) return { delay: null, abort: null };
  const { delay, abort } = fault;
  return {
    delay: delay !== null && random() < delay.share ? delay.fixed : null,
    abort: abort !== null && random() < abort.share ? abort.status : null,
  };
}

const mirrored = ({ mirrors }: Rule, random: Random): readonly Destination[] =>
  mirrors.length === 0 ? [] : mirrors.filter(({ share }) => random() < share).map(({ destination }) => destination);

/** Envoy's order of response flags, as they stand in the label. */
const ORDER = ['UH', 'UT', 'UF', 'UC', 'UO', 'NR', 'DI', 'FI', 'DC', 'URX', 'NC'];

/** "UF,URX"; "-" for none. */
export function flagText(...flags: readonly string[]): string {
  const all = flags.flatMap((text) => text.split(',')).filter((flag) => flag !== '-' && flag !== '');
  return all.length === 0 ? '-' : ORDER.filter((flag) => all.includes(flag)).join(',');
}
