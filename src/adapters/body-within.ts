/** The body of an answer as text, as long as it is not too large: what a server sends is not bounded by what was asked. */

/** null: more than `limit` bytes, counted after decompression; the rest is not read. */
export async function bodyWithin(response: Response, limit: number): Promise<string | null> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.byteLength;
    if (size > limit) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
