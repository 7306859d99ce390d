/** Reads the body of one request: size, compression, media type, notation. Refusals are values; nothing is parsed before the caller is known. */
import type { Request, Response } from 'express';
import { raw } from 'express';
import type { Notation, ReadDocument, Several } from './document.ts';
import { readDocument } from './document.ts';
import type { Refused } from './problem.ts';
import { refuse } from './problem.ts';

export const BODY_LIMIT = 256 * 1024;

const NOTATIONS: Readonly<Record<string, Notation>> = {
  'application/json': 'json',
  'application/yaml': 'yaml',
  'application/x-yaml': 'yaml',
  'text/yaml': 'yaml',
};
export const MEDIA_TYPES = Object.keys(NOTATIONS);

export type BodyRefusal = Refused<
  'malformed_body' | 'invalid_body' | 'unsupported_media_type' | 'unsupported_encoding' | 'body_too_large'
>;

const readRaw = raw({ type: () => true, limit: BODY_LIMIT });

/** undefined: no body was sent. Rejects only where the connection was cut while reading. */
export async function readBody(
  req: Request,
  res: Response,
  several?: Several,
): Promise<ReadDocument | BodyRefusal | undefined> {
  const bytes = await readBytes(req, res);
  if (bytes === undefined || 'problem' in bytes) return bytes;
  const notation = notationOf(req.headers['content-type']);
  return typeof notation === 'string' ? readDocument(bytes, notation, several) : notation;
}

async function readBytes(req: Request, res: Response): Promise<Uint8Array | BodyRefusal | undefined> {
  const error = await new Promise<unknown>((resolve) => readRaw(req, res, (e?: unknown) => resolve(e)));
  if (error !== undefined) return refusalOf(error);
  const { body } = req as { body?: unknown };
  return body instanceof Uint8Array && body.length > 0 ? body : undefined;
}

/** body-parser's errors carry a `type`; those of the decompressor only a status. */
function refusalOf(error: unknown): BodyRefusal {
  const { type, status } = error as { type?: unknown; status?: unknown };
  if (type === 'entity.too.large')
    return refuse('body_too_large', `the body is larger than ${BODY_LIMIT / 1024} kB, counted after decompression`);
  if (type === 'encoding.unsupported')
    return refuse('unsupported_encoding', 'the Content-Encoding is not one of gzip, deflate, br, zstd and identity');
  if (type === 'request.aborted' || status === undefined || Number(status) >= 500) throw error;
  const detail =
    type === 'request.size.invalid'
      ? 'the body is not as long as its Content-Length'
      : 'the body is not compressed as its Content-Encoding says';
  return refuse('malformed_body', detail, {
    errors: [{ pointer: '', code: type === 'request.size.invalid' ? 'length' : 'compression', detail }],
  });
}

function notationOf(header: string | undefined): Notation | Refused<'unsupported_media_type'> {
  if (header === undefined)
    return refuse('unsupported_media_type', `wanted a Content-Type of ${MEDIA_TYPES.join(', ')}; found none`);
  const [type = '', ...parameters] = header.split(';').map((part) => part.trim().toLowerCase());
  const notation = Object.hasOwn(NOTATIONS, type) ? NOTATIONS[type] : undefined;
  if (notation === undefined)
    return refuse(
      'unsupported_media_type',
      `wanted a Content-Type of ${MEDIA_TYPES.join(', ')}; found ${JSON.stringify(type.slice(0, 100))}`,
    );
  const charset = parameters
    .find((p) => p.startsWith('charset='))
    ?.slice('charset='.length)
    .replaceAll('"', '');
  if (charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii') return notation;
  return refuse('unsupported_media_type', `wanted the charset utf-8; found ${JSON.stringify(charset.slice(0, 100))}`);
}
