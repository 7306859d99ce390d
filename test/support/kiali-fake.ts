/** The sandbox's stub of Kiali with answers that a test scripts; fails on demand. */
import { type KialiCheck, type KialiOptions, startKiali } from '../../src/sandbox/kiali.ts';
import { json } from '../../src/sandbox/loopback.ts';

export type KialiCheckFake = Pick<KialiCheck, 'code' | 'severity'> & Partial<KialiCheck>;
export type KialiFakeOptions = Pick<KialiOptions, 'token'> & { readonly generation: 1 | 2 };

export interface KialiFake {
  /** With the web root. */
  readonly url: string;
  /** Paths that were asked for, with their queries. */
  readonly asked: string[];
  /** Of the VirtualService production/myapp. */
  route: readonly KialiCheckFake[];
  /** Of the DestinationRule production/myapp-rules, which is for the host myapp. */
  rule: readonly KialiCheckFake[];
  /** By kind and name, in the namespace production. */
  health: { readonly service: Readonly<Record<string, object>>; readonly workload: Readonly<Record<string, object>> };
  /** In place of an answer. */
  trouble: 'none' | 'hangs' | 'page' | 'redirect' | 'error' | 'endless';
  close(): Promise<void>;
}

const checks = (given: readonly KialiCheckFake[]): readonly KialiCheck[] =>
  given.map((one) => ({ message: `${one.code} is wrong`, path: '', ...one }));

export async function kialiFake(options: KialiFakeOptions): Promise<KialiFake> {
  const self = {
    route: [] as readonly KialiCheckFake[],
    rule: [] as readonly KialiCheckFake[],
    health: { service: {}, workload: {} } as KialiFake['health'],
    trouble: 'none' as KialiFake['trouble'],
  };
  const asked: string[] = [];
  const { url, stop } = await startKiali({
    ...options,
    source: {
      route: async (namespace, name) => (namespace === 'production' && name === 'myapp' ? checks(self.route) : null),
      rules: async () => [
        { name: 'myapp-rules', host: 'myapp', checks: checks(self.rule) },
        { name: 'other', host: 'other', checks: checks([{ code: 'KIA0203', severity: 'error' }]) },
      ],
      health: async (namespace, of) => (namespace === 'production' ? self.health[of] : {}),
    },
    meddle({ pathname, search }, response) {
      asked.push(`${pathname}${search}`);
      switch (self.trouble) {
        case 'none':
          return false;
        case 'hangs':
          return true;
        case 'page':
          response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Kiali</title>');
          return true;
        case 'redirect':
          response.writeHead(302, { location: 'http://127.0.0.1:1/login' }).end();
          return true;
        case 'error':
          json(response, 500, { error: 'no' });
          return true;
        case 'endless':
          response.writeHead(200, { 'content-type': 'application/json' }).end(' '.repeat(70_000));
          return true;
        default:
          return self.trouble satisfies never;
      }
    },
  });
  return Object.assign(self, { url, asked, close: stop });
}
