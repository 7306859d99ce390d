/** A reader of server-sent events, as small as the format: enough to see every id, event and comment. */
export interface Event {
  readonly id: string;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

export interface Stream {
  readonly status: number;
  readonly headers: Headers;
  readonly events: Event[];
  readonly comments: string[];
  readonly retries: number[];
  /** The stream came to its end, by whichever side. */
  readonly closed: Promise<void>;
  leave(): void;
}

export async function open(url: string, headers: Record<string, string>): Promise<Stream> {
  const leaving = new AbortController();
  const response = await fetch(url, { headers: { Accept: 'text/event-stream', ...headers }, signal: leaving.signal });
  const events: Event[] = [];
  const comments: string[] = [];
  const retries: number[] = [];

  const take = (block: string): void => {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const colon = line.indexOf(':');
      if (colon === 0) comments.push(line.slice(1).trim());
      else fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    const retry = fields.get('retry');
    if (retry !== undefined) retries.push(Number(retry));
    const data = fields.get('data');
    if (data !== undefined)
      events.push({ id: fields.get('id') ?? '', event: fields.get('event') ?? '', data: JSON.parse(data) });
  };
  const read = async (): Promise<void> => {
    if (response.body === null) return;
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const chunk of response.body) {
        text += decoder.decode(chunk, { stream: true });
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          take(text.slice(0, end));
          text = text.slice(end + 2);
        }
      }
    } catch (error) {
      if (!leaving.signal.aborted) throw error;
    }
  };
  return {
    status: response.status,
    headers: response.headers,
    events,
    comments,
    retries,
    closed: read(),
    leave: () => leaving.abort(),
  };
}
