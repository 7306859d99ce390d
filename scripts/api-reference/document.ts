/** The OpenAPI document of a server with everything switched on, without starting one. */
import { capabilityMatrix, loadMeshes } from '../../src/adapters/registry.ts';
import { offlineParser } from '../../src/cli/offline-parser.ts';
import { lifecycle } from '../../src/http/lifecycle.ts';
import { openApi } from '../../src/http/openapi.ts';
import { apiRoutes, type ServerOptions } from '../../src/http/server.ts';
import type { Schema } from './schema.ts';

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly description: string;
  readonly schema: Schema;
}

export interface Content {
  readonly schema: Schema;
  readonly example?: unknown;
}

export interface Response {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly description: string }>>;
  readonly content?: Readonly<Record<string, Content>>;
}

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  /** Absent: as the whole document says. Empty: open to everybody. */
  readonly security?: readonly unknown[];
  readonly 'x-audit-action'?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, Response>>;
}

export interface Document {
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** No handler of these routes is called: they are only described, and what describes them is all that is given. */
export async function document(): Promise<Document> {
  const [meshes, parser] = await Promise.all([loadMeshes(), offlineParser()]);
  const planSchema = parser.jsonSchema;
  const described = {
    usecases: { planSchema, capabilities: capabilityMatrix(meshes) },
    fleets: {},
    deliveries: {},
    migrations: {},
    version: '',
  } as unknown as ServerOptions;
  return openApi(apiRoutes(described, lifecycle()), { version: '', planSchema, cookie: null }) as unknown as Document;
}
