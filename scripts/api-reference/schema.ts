/** JSON Schema as people read it: a type in words, and the fields of an object as rows. */

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
}

export interface Row {
  /** Path from the shape: `weight.wanted`, `checks[].name`. */
  readonly path: string;
  readonly type: string;
  readonly required: boolean;
  /** As JSON; null: none. */
  readonly default: string | null;
  readonly description: string;
}

/** The component that a schema refers to; null: it says itself what it is. */
export const componentOf = ({ $ref }: Schema): string | null =>
  $ref === undefined ? null : $ref.replace('#/components/schemas/', '');

const isNull = (schema: Schema): boolean => schema.type === 'null';

/** What a value may be, each apart. */
const alternatives = (schema: Schema): readonly Schema[] => {
  const several = schema.anyOf ?? schema.oneOf;
  if (several !== undefined) return several.flatMap(alternatives);
  if (!Array.isArray(schema.type)) return [schema];
  return (schema.type as readonly string[]).map((type) => ({ ...schema, type }));
};

export const literal = (value: unknown): string => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

export function typeOf(schema: Schema, link: (component: string) => string): string {
  const kinds = alternatives(schema).map((one) => kindOf(one, link));
  return [...new Set(kinds)].join(' or ');
}

/** Durations are texts with one of these patterns: saying the pattern would say less. */
const DURATION = /\(\?:ms\|s\|m\|h\|d\)/;

function kindOf(schema: Schema, link: (component: string) => string): string {
  const component = componentOf(schema);
  if (component !== null) return link(component);
  if (schema.const !== undefined) return literal(schema.const);
  if (schema.allOf !== undefined) return schema.allOf.map((part) => partOf(part, link)).join(' with ');
  if (schema.enum !== undefined) return schema.enum.map(literal).join(', ');
  switch (schema.type) {
    case 'array':
      return `list of ${typeOf(schema.items ?? {}, link)}${bounds(schema.minItems, schema.maxItems)}`;
    case 'object':
      return typeof schema.additionalProperties === 'object' && schema.properties === undefined
        ? `map of ${typeOf(schema.additionalProperties, link)}`
        : 'object';
    case 'integer':
    case 'number':
      return `${schema.type}${bounds(schema.minimum, schema.maximum)}`;
    case 'string':
      if (schema.format === 'date-time') return 'time';
      return DURATION.test(schema.pattern ?? '') ? 'duration' : 'string';
    case undefined:
      return 'anything';
    default:
      return schema.type as string;
  }
}

/** What an object adds to another is told by its fields. */
const partOf = (part: Schema, link: (component: string) => string): string =>
  part.properties === undefined ? typeOf(part, link) : Object.keys(part.properties).map(literal).join(', ');

/** The limits of whole numbers of the language are nobody's wish. */
const wished = (bound: number | undefined): number | undefined =>
  bound === undefined || Math.abs(bound) >= Number.MAX_SAFE_INTEGER ? undefined : bound;

function bounds(low: number | undefined, high: number | undefined): string {
  const [least, most] = [wished(low), wished(high)];
  if (least === undefined && most === undefined) return '';
  if (most === undefined) return `, at least ${least}`;
  return least === undefined ? `, at most ${most}` : `, ${least} to ${most}`;
}

/** Every field of an object, nested ones right after the one that holds them. */
export function rowsOf(schema: Schema, link: (component: string) => string, under = ''): readonly Row[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const path = under === '' ? name : `${under}.${name}`;
    const row: Row = {
      path,
      type: typeOf(field, link),
      required: schema.required?.includes(name) === true,
      default: field.default === undefined ? null : JSON.stringify(field.default),
      description: field.description ?? '',
    };
    return [row, ...nested(field, link, path)];
  });
}

function nested(field: Schema, link: (component: string) => string, path: string): readonly Row[] {
  const holders = alternatives(field).filter((one) => !isNull(one) && componentOf(one) === null);
  return merged(
    holders.map((one) => (one.type === 'array' ? nested(one.items ?? {}, link, `${path}[]`) : rowsOf(one, link, path))),
  );
}

/** A field that several alternatives have is one row, with all that it may be; it is required where all of them want it. */
function merged(alternatives: readonly (readonly Row[])[]): readonly Row[] {
  const fields = Map.groupBy(alternatives.flat(), ({ path }) => path);
  const wantedByAll = (path: string): boolean =>
    alternatives.every((rows) => rows.find((row) => row.path === path)?.required === true);
  const underOne = (path: string): boolean => alternatives.filter((rows) => holds(rows, parentOf(path))).length === 1;
  return [...fields].map(([path, same]) => ({
    path,
    type: [...new Set(same.map(({ type }) => type))].join(' or '),
    required: underOne(path) ? same.every(({ required }) => required) : wantedByAll(path),
    default: same.find((row) => row.default !== null)?.default ?? null,
    description: [...new Set(same.map(({ description }) => description))].filter((text) => text !== '').join(' Or: '),
  }));
}

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('.')).replace(/\[\]$/, '');
const holds = (rows: readonly Row[], path: string): boolean => rows.some((row) => row.path === path);
