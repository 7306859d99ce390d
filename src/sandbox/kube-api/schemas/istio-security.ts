/** PeerAuthentication and AuthorizationPolicy (security.istio.io): closed, as in Istio's CRDs. */
import { anything, list, map, object, oneOf, type Schema, text } from '../schema.ts';
import { selection } from './istio-traffic.ts';

const mode = object({ mode: oneOf('UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT') });

export const peerAuthentication: Schema = object({
  spec: object({ mtls: mode, portLevelMtls: map(mode), selector: selection.selector }),
  status: anything,
});

const both = (...names: readonly string[]): Record<string, Schema> =>
  Object.fromEntries(
    names.flatMap((name) => [name, `not${name.charAt(0).toUpperCase()}${name.slice(1)}`].map((n) => [n, list(text)])),
  );

export const authorizationPolicy: Schema = object({
  spec: object({
    ...selection,
    action: oneOf('ALLOW', 'DENY', 'AUDIT', 'CUSTOM'),
    provider: object({ name: text }),
    rules: list(
      object({
        from: list(
          object({
            source: object(
              both('ipBlocks', 'namespaces', 'principals', 'remoteIpBlocks', 'requestPrincipals', 'serviceAccounts'),
            ),
          }),
        ),
        to: list(object({ operation: object(both('hosts', 'methods', 'paths', 'ports')) })),
        when: list(object({ key: text, notValues: list(text), values: list(text) }, 'key')),
      }),
    ),
  }),
  status: anything,
});
