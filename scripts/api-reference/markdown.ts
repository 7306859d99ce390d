/** The document as one page of Markdown: the same page for the same document. */
import { stringify } from 'yaml';
import type { Document, Operation, Parameter, Response } from './document.ts';
import { literal, type Row, rowsOf, type Schema, typeOf } from './schema.ts';

const HEAD = `# API reference

Every call, from the server's own OpenAPI document (\`GET /openapi.json\`). [api.md](api.md) tells how to use them: following, starting safely, deciding safely. This page is written by \`node scripts/api-reference.ts\`; a test holds it against the code.

\`$SLUICE\` is the server's address, \`$TOKEN\` an API token or the id token of a pipeline. Bodies are JSON or YAML. A duration carries its unit (\`90s\`, \`1h30m\`), a time is RFC 3339 in UTC. What a code of a refusal means and what to do about it: [problems](api.md#problems).
`;

export function markdown(document: Document): string {
  const operations = operationsOf(document);
  const shared = common(operations);
  const toc = document.tags.map(({ name, description }) => {
    const calls = operations
      .filter(({ operation }) => operation.tags.includes(name))
      .map((call) => `| [\`${titleOf(call)}\`](#${anchorOf(titleOf(call))}) | ${cell(call.operation.summary)} |`);
    return `**[${name}](#${anchorOf(name)})**: ${description}\n\n| call | |\n|---|---|\n${calls.join('\n')}`;
  });
  const parts = document.tags.map(({ name }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name));
    return `## ${name}\n\n${own.map((call) => callOf(call, shared)).join('\n\n')}`;
  });
  return `${[HEAD.trim(), ...toc, everywhere(shared), ...parts, shapes(document)].join('\n\n')}\n`;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

const operationsOf = ({ paths }: Document): readonly Call[] =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );

const titleOf = ({ method, path }: Call): string => `${method} ${path}`;

/** As GitHub makes them of headings. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

/** A row ends at the end of its line, a cell at a bar. */
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s*\n+\s*/g, ' ');

const link = (component: string): string =>
  component.startsWith('Plan.') ? 'object' : `[${component}](#${anchorOf(component)})`;

const REFUSAL = 'application/problem+json';
const isRefusal = ({ content }: Response): boolean => content !== undefined && REFUSAL in content;

/** "code: Title. code: Title." -> the codes. */
const codesOf = ({ description }: Response): readonly string[] =>
  [...description.matchAll(/(?:^|\. )([a-z_]+): /g)].map(([, code = '']) => code);

const refusalsOf = ({
  responses,
}: Operation): readonly { readonly status: string; readonly codes: readonly string[] }[] =>
  Object.entries(responses)
    .filter(([, response]) => isRefusal(response))
    .map(([status, response]) => ({ status, codes: codesOf(response) }));

type Common = ReadonlySet<string>;

/** Refusals that go with a kind of call: said once, so that each call's own stand out. */
const KINDS: readonly ((call: Call) => boolean)[] = [
  () => true,
  ({ path }) => path.includes('{'),
  ({ operation }) => operation.security?.length !== 0,
  ({ operation, method }) => operation.security?.length !== 0 && method === 'POST',
  ({ operation }) => operation.requestBody !== undefined,
];

const common = (calls: readonly Call[]): Common => new Set(KINDS.flatMap((isOfKind) => ofAll(calls.filter(isOfKind))));

/** What each of these calls may refuse with. */
const ofAll = ([first, ...rest]: readonly Call[]): readonly string[] =>
  first === undefined
    ? []
    : codesOfCall(first).filter((code) => rest.every((call) => codesOfCall(call).includes(code)));

const codesOfCall = ({ operation }: Call): readonly string[] => refusalsOf(operation).flatMap(({ codes }) => codes);

const everywhere = (codes: Common): string =>
  `Refusals that go with a kind of call (with a token, with a body, with an id) and are not repeated below: ${[...codes].map(literal).join(', ')}.`;

function callOf(call: Call, shared: Common): string {
  const { operation } = call;
  const audited = operation['x-audit-action'];
  return [
    `### ${titleOf(call)}`,
    /[?!]$/.test(operation.summary) ? operation.summary : `${operation.summary}.`,
    operation.description,
    ...(audited === undefined ? [] : [`[The audit](audit.md) has it as \`${audited}\`.`]),
    ...parametersOf(operation.parameters ?? []),
    ...bodyOf(operation),
    answersOf(operation, shared),
    exampleOf(call),
  ].join('\n\n');
}

const parametersOf = (parameters: readonly Parameter[]): readonly string[] =>
  parameters.length === 0
    ? []
    : [
        [
          '| parameter | in | type | default | |',
          '|---|---|---|---|---|',
          ...parameters.map(
            ({ name, in: place, schema, description }) =>
              `| \`${name}\` | ${place} | ${cell(typeOf(schema, link))} | ${defaultOf(schema.default)} | ${cell(description)} |`,
          ),
        ].join('\n'),
      ];

const defaultOf = (value: unknown): string => (value === undefined ? '' : literal(value));

function bodyOf({ requestBody }: Operation): readonly string[] {
  const schema = requestBody?.content['application/json']?.schema;
  if (requestBody === undefined || schema === undefined) return [];
  const may = requestBody.required ? '' : ', which may be left out';
  return [`**Body**${may}: ${typeOf(schema, link)}.`];
}

function answersOf({ responses, ...operation }: Operation, shared: Common): string {
  const given = Object.entries(responses)
    .filter(([, response]) => !isRefusal(response))
    .map(([status, { description, content, headers }]) => {
      const bodies = Object.entries(content ?? {}).map(([type, { schema }]) =>
        type === 'application/json' ? typeOf(schema, link) : `\`${type}\``,
      );
      const said = Object.entries(headers ?? {}).map(([name, about]) => `\`${name}\`: ${about.description}`);
      return `| ${status} | ${cell([description, ...said].join(' '))} | ${cell([...new Set(bodies)].join(', '))} |`;
    });
  const refused = refusalsOf({ ...operation, responses })
    .map(({ status, codes }) => ({ status, own: codes.filter((code) => !shared.has(code)) }))
    .filter(({ own }) => own.length > 0)
    .map(({ status, own }) => `| ${status} | ${own.map(literal).join(', ')} | [Problem](#problem) |`);
  return ['| answer | | body |', '|---|---|---|', ...given, ...refused].join('\n');
}

function exampleOf({ method, path, operation }: Call): string {
  const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => `$${name.toUpperCase()}`);
  const call = [
    `curl${method === 'GET' ? '' : ` -X ${method}`} "$SLUICE${url}"`,
    ...(operation.security?.length === 0 ? [] : ['-H "Authorization: Bearer $TOKEN"']),
    ...sent(operation.requestBody?.content['application/json']?.example),
  ];
  return `\`\`\`sh\n${call.join(' \\\n  ')}\n\`\`\``;
}

/** Longer bodies are easier to read in YAML. */
function sent(example: unknown): readonly string[] {
  if (example === undefined) return [];
  const json = JSON.stringify(example);
  if (json.length <= 80) return [`-H 'Content-Type: application/json' -d '${json}'`];
  return [`-H 'Content-Type: application/yaml' --data-binary @- <<'EOF'\n${stringify(example)}EOF`];
}

function shapes({ components }: Document): string {
  const named = Object.entries(components.schemas).filter(([name]) => !name.startsWith('Plan.'));
  return `## Shapes\n\n${named.map(([name, schema]) => shape(name, schema)).join('\n\n')}`;
}

const ABOUT: Readonly<Record<string, string>> = {
  Plan: 'What a rollout is to do. [plan.md](plan.md) tells it field by field, with examples; `GET /schemas/plan.json` is its JSON Schema.',
  FleetPlan: 'One plan, and the clusters that it goes through. [waves.md](waves.md) tells it with examples.',
  MeshMigrationPlan:
    'What is to become STRICT, and how carefully. [mesh-migrations.md](mesh-migrations.md) tells more.',
};

function shape(name: string, schema: Schema): string {
  const rows = rowsOf(schema, link);
  const about = [ABOUT[name] ?? schema.description ?? '', ...(rows.length > 0 ? [] : [`${typeOf(schema, link)}.`])];
  const table =
    rows.length === 0
      ? []
      : [
          [
            '| field | type | default | |',
            '|---|---|---|---|',
            ...rows.map(
              (row) =>
                `| ${fieldOf(row)} | ${cell(row.type)} | ${cell(row.default === null ? '' : `\`${row.default}\``)} | ${cell(row.description)} |`,
            ),
          ].join('\n'),
        ];
  return [`### ${name}`, ...about.filter((text) => text !== ''), ...table].join('\n\n');
}

/** What must be there stands in bold. */
const fieldOf = ({ path, required }: Row): string => (required ? `**\`${path}\`**` : `\`${path}\``);
