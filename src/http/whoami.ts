/** Who asks, as the server knows them: what a client must know before it offers anything. */
import { z } from 'zod';
import type { Principal } from '../app/ports.ts';
import { PRINCIPAL_ROLES } from '../app/ports.ts';
import type { Route } from './route.ts';
import { route } from './route.ts';
import { described, named } from './schemas.ts';

const only = z.array(z.string()).nullable();

const callerSchema = named(
  'Caller',
  'Whoever the token, id token or session stands for.',
  z.object({
    name: described('As the history and the audit write it.', z.string()),
    role: z.enum(PRINCIPAL_ROLES),
    scope: described(
      'Where they may change something; in it null: everywhere. null: their role alone says.',
      z.object({ namespaces: only, services: only }).nullable(),
    ),
  }),
);
export type CallerBody = z.input<typeof callerSchema>;

export const whoamiRoutes = (): readonly Route[] => [
  route({
    method: 'get',
    path: '/whoami',
    operationId: 'whoAmI',
    summary: 'Who asks, and what may they do?',
    can: 'read',
    responses: { 200: { description: 'The caller.', body: callerSchema } },
    problems: [],
    handle: async ({ principal }) => ({ status: 200, body: present(principal) }),
  }),
];

const listed = (names: readonly string[] | null): string[] | null => (names === null ? null : [...names]);

const present = ({ name, role, scope }: Principal): CallerBody => ({
  name,
  role,
  scope: scope === undefined ? null : { namespaces: listed(scope.namespaces), services: listed(scope.services) },
});
