/** Arguments of an analysis: `{{args.x}}` -> the value that the Rollout or the template gives it. */
import type { Field } from '../field.ts';

export interface Arguments {
  /** null: it has no value that is known before the rollout. */
  value(name: string): string | null;
  /** The text with its arguments filled in; null: one has no value. */
  fill(text: string): string | null;
}

const ARGUMENT = /\{\{\s*args\.([\w.-]+)\s*\}\}/g;

/** `given`: the args of the analysis; `declared`: those of the template; `rollout`: where fieldRef looks. */
export function argumentsOf(given: Field, declared: Field, rollout: Field): Arguments {
  const values = new Map<string, string>();
  for (const arg of [...declared.items(), ...given.items()]) {
    const name = arg.at('name').text() ?? '';
    const value = givenBy(arg, rollout);
    if (value !== null) values.set(name, value);
    // What the Rollout gives stands above the template's own value, known or not.
    else if (arg.at('valueFrom').has()) values.delete(name);
  }
  const value = (name: string): string | null => values.get(name) ?? null;
  return {
    value,
    fill(text) {
      let missing = false;
      const filled = text.replaceAll(ARGUMENT, (_, name: string) => {
        missing ||= value(name) === null;
        return value(name) ?? '';
      });
      return missing ? null : filled;
    },
  };
}

function givenBy(arg: Field, rollout: Field): string | null {
  const name = arg.at('name');
  const literal = arg.at('value').value;
  if (typeof literal === 'string' || typeof literal === 'number') {
    name.maps('filled in where the metrics ask for it');
    arg.at('value').maps('filled in where the metrics ask for it');
    return String(literal);
  }
  const from = arg.at('valueFrom');
  const path = from.at('fieldRef', 'fieldPath').text();
  if (path !== undefined) {
    const found = fieldAt(rollout, path);
    name.maps('filled in where the metrics ask for it');
    if (found === null) from.differs(`the Rollout has no ${path}: what asks for it is not taken over`);
    else from.maps(`${found}, as the Rollout has it now`);
    return found;
  }
  name.ignored(from.has() ? 'it has no value here' : 'the value comes from the analysis that names this template');
  from
    .at('podTemplateHashValue')
    .differs(
      'Sluice tells the versions apart by their Deployments, not by the hash of their pods: ask by {{canary.deployment}} or {{stable.deployment}}. What asks by the hash is not taken over',
    );
  from
    .at('secretKeyRef')
    .differs('secrets are in the settings of Sluice, not in plans: what asks for it is not taken over');
  return null;
}

/** metadata.labels['region'] */
function fieldAt(rollout: Field, path: string): string | null {
  const keys = [...path.matchAll(/\[['"]?([^'"\]]+)['"]?\]|([^.[\]]+)/g)].map(
    ([, quoted, bare]) => quoted ?? bare ?? '',
  );
  const { value } = rollout.at(...keys);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : null;
}
