/** The sandbox's stub of Jaeger with spans that a test scripts, and trouble on demand. */
import type { Span } from '../../src/sandbox/data-plane/spans.ts';
import { type JaegerOptions, type JaegerVersion, startJaeger } from '../../src/sandbox/jaeger.ts';
import { json } from '../../src/sandbox/loopback.ts';

export type FakeSpan = Omit<Span, 'operation' | 'duration'> & Partial<Span>;
export type { JaegerVersion };
export type JaegerFakeOptions = Pick<JaegerOptions, 'goneAs' | 'header'> & { readonly version: JaegerVersion };

export interface JaegerFake {
  /** With its base path. */
  readonly url: string;
  readonly asked: string[];
  spans: readonly FakeSpan[];
  trouble: 'none' | 'hangs' | 'unavailable' | 'endless';
  close(): Promise<void>;
}

export async function jaegerFake(options: JaegerFakeOptions): Promise<JaegerFake> {
  const self = { spans: [] as readonly FakeSpan[], trouble: 'none' as JaegerFake['trouble'] };
  const asked: string[] = [];
  const { url, stop } = await startJaeger({
    ...options,
    spans: () => self.spans.map((span) => ({ operation: 'myapp:80/*', duration: 12, ...span })),
    meddle({ pathname, search, searchParams }, response) {
      asked.push(`${pathname}${search}`);
      if (self.trouble === 'hangs') return true;
      if (self.trouble === 'unavailable') json(response, 503, { errors: [{ code: 503, msg: 'storage away' }] });
      else if (self.trouble === 'endless' && Number(searchParams.get('limit')) > 20)
        json(response, 200, { data: [], padding: 'x'.repeat(100_000) });
      else return false;
      return true;
    },
  });
  return Object.assign(self, { url, asked, close: stop });
}
