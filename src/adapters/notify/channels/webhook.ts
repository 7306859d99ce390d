/** Any receiver: JSON, signed by Standard Webhooks. */
import { z } from 'zod';
import { isWebhookSecret, signedHeaders } from '../../outbound/standard-webhooks.ts';
import { alertBody } from '../alert-body.ts';
import { defineChannel } from '../channel.ts';

export default defineChannel({
  kind: 'webhook',
  settings: z.strictObject({
    url: z.url({ protocol: /^https?$/, error: 'wanted an address' }),
    secrets: z
      .array(z.string().refine(isWebhookSecret, 'wanted whsec_ and 24 to 64 bytes in base64'))
      .min(1, 'wanted a secret to sign with'),
  }),
  request({ url, secrets }, alert, at) {
    const body = alertBody(alert);
    return { url, headers: signedHeaders(alert.id, body, at, secrets), body };
  },
});
