/** A Kubernetes API server in process, for tests, the sandbox and benchmarks. */

export type { KubeApi, KubeApiOptions, Seeding, Write } from './api.ts';
export type { FaultRule } from './faults.ts';
export type { Json, JsonObject } from './json.ts';
export * from './kinds.ts';
export type { Account, PolicyRule } from './rbac.ts';
export { startKubeApi } from './server.ts';
