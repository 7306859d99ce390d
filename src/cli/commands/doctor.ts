/** `sluice doctor`: from the settings over the network to the token, each with what to do about it. */
import type { MetricsProvidersBody } from '../../http/schemas.ts';
import { PATIENCE, tokenFor } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { userAgent } from '../pipeline.ts';
import { roleOf } from '../role.ts';
import type { Server } from '../settings.ts';
import { configPath, serverOf } from '../settings.ts';
import { printDocument } from '../show/data.ts';
import type { Line } from '../show/line.ts';
import { levelMark } from '../show/marks.ts';
import { silenceWords } from '../wire/persist.ts';
import { problemOf } from '../wire/problem.ts';
import type { Answer, Silence, TokenSource, Wire } from '../wire/wire.ts';
import { openWire } from '../wire/wire.ts';
import { isLoopback } from './login.ts';

interface Finding {
  readonly part: string;
  readonly level: 'pass' | 'warn' | 'fail';
  readonly message: string;
  readonly advice?: string;
  /** Of a failure: how the command ends. */
  readonly ending?: Ending;
}

export async function run(call: Call): Promise<Ending> {
  const findings = await examined(call);
  const { output, terminal } = call;
  if (output !== null) await printDocument(terminal, output, { findings }, []);
  else
    for (const { part, level, message, advice } of findings) {
      const line: Line = [levelMark(level, terminal.unicode), ` ${part.padEnd(12)}  `, message];
      terminal.line(line);
      if (advice !== undefined) terminal.line(`  ${''.padEnd(12)}  ${advice}`, 'warn');
    }
  return findings.find(({ level }) => level === 'fail')?.ending ?? 'done';
}

async function examined(call: Call): Promise<readonly Finding[]> {
  let server: Server;
  let credential: string | TokenSource | null;
  try {
    server = await serverOf(call.values as Record<string, string>, call.env);
    credential = await tokenFor(server, call.env);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const advice = error.advice[0];
    return [
      {
        part: 'settings',
        level: 'fail',
        message: error.message,
        ending: 'usage',
        ...(advice === undefined ? {} : { advice }),
      },
    ];
  }
  const wire = openWire(server.url, credential, userAgent(call.version, call.env), call.env);
  try {
    const health = await wire.send({ method: 'GET', path: '/healthz', within: 10_000 });
    const settings: Finding = {
      part: 'settings',
      level: 'pass',
      message: `${server.url.href} (from ${server.from}; contexts in ${configPath(call.env)})`,
    };
    const reached = reachable(health, server);
    if (reached.level === 'fail') return [settings, ...encryption(server), reached];
    const ready = await wire.send({ method: 'GET', path: '/readyz', within: 10_000 });
    return [
      settings,
      ...encryption(server),
      reached,
      versions(health, call.version),
      ...readiness(ready),
      ...metrics(await wire.send({ method: 'GET', path: '/metrics-providers', within: 10_000 })),
      clock(wire),
      await token(wire, server),
    ];
  } finally {
    wire.close();
  }
}

const encryption = ({ url }: Server): readonly Finding[] =>
  url.protocol === 'http:' && !isLoopback(url.hostname)
    ? [
        {
          part: 'encryption',
          level: 'warn',
          message: 'none: everybody on the way can read the token',
          advice: 'Use https',
        },
      ]
    : [];

function reachable(health: Answer | Silence, { url }: Server): Finding {
  if (health.kind === 'silence')
    return {
      part: 'server',
      level: 'fail',
      ending: 'unreachable',
      message: `no answer: ${silenceWords(health)}`,
      advice: adviceOn(health.code, url),
    };
  if (isHealth(health)) return { part: 'server', level: 'pass', message: 'answers' };
  return {
    part: 'server',
    level: 'fail',
    ending: 'unreachable',
    message: `${health.status} from /healthz, and not the answer of a Sluice server`,
    advice: 'Is the address right, with its path prefix? Does a proxy or a login page stand in between?',
  };
}

function adviceOn(code: string, { hostname, port, protocol }: URL): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return `No address is known for ${hostname}: spelt right? Is a VPN needed?`;
  if (code === 'ECONNREFUSED')
    return `Nothing listens on ${hostname}:${port || (protocol === 'https:' ? 443 : 80)}: is the server up, and the port right?`;
  if (code === 'TIMEOUT' || code === 'ETIMEDOUT')
    return 'Something swallows the packets: a firewall, a NetworkPolicy, a VPN that is off?';
  if (/^(CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/.test(code))
    return 'A private certificate authority? NODE_EXTRA_CA_CERTS=/path/of/ca.pem';
  return 'Is it https where the address says http, or the other way round?';
}

const isHealth = (answer: Answer): boolean => answer.status === 200 && versionOf(answer) !== null;

function versionOf({ text }: Answer): string | null {
  try {
    const { status, version } = JSON.parse(text) as { status?: unknown; version?: unknown };
    return status === 'ok' && typeof version === 'string' ? version : null;
  } catch {
    return null;
  }
}

function versions(health: Answer | Silence, own: string): Finding {
  const server = health.kind === 'answer' ? (versionOf(health) ?? '') : '';
  const same = server.split('.').slice(0, 2).join('.') === own.split('.').slice(0, 2).join('.');
  const message = `server ${server}, this command ${own}`;
  return same
    ? { part: 'versions', level: 'pass', message }
    : {
        part: 'versions',
        level: 'warn',
        message,
        advice: 'plan lint knows the schema of this command only; the rest follows the server',
      };
}

function readiness(ready: Answer | Silence): readonly Finding[] {
  if (ready.kind === 'silence')
    return [{ part: 'ready', level: 'fail', ending: 'unreachable', message: `no answer: ${ready.message}` }];
  if (ready.status === 200) return [{ part: 'ready', level: 'pass', message: 'the server has everything it needs' }];
  const missing = problemOf(ready)?.missing ?? [];
  if (missing.length === 0)
    return [{ part: 'ready', level: 'fail', ending: 'error', message: `/readyz answers ${ready.status}` }];
  return missing.map(({ part, message }) => ({ part: `ready: ${part}`, level: 'fail', ending: 'error', message }));
}

/** Nothing of a server that is older, nor where the token is not valid: that is said elsewhere. */
function metrics(answer: Answer | Silence): readonly Finding[] {
  const items = answer.kind === 'answer' && answer.status === 200 ? providersIn(answer.text) : [];
  const away = items.flatMap(({ cluster, provider, wrong }): Finding[] =>
    wrong === null
      ? []
      : [
          {
            part: 'metrics',
            level: 'warn',
            message: `provider ${provider} of cluster ${cluster}: ${wrong}`,
            advice:
              'Without it no step passes: rollouts wait, or go back where their plan says so (noData); rollbacks go on',
          },
        ],
  );
  if (items.length === 0 || away.length > 0) return away;
  const names = items.map(({ cluster, provider }) => `${provider} of cluster ${cluster}`).join(', ');
  return [{ part: 'metrics', level: 'pass', message: `answered by ${names}` }];
}

function providersIn(text: string): MetricsProvidersBody['items'] {
  try {
    const { items } = JSON.parse(text) as Partial<MetricsProvidersBody>;
    return Array.isArray(items) ? items : [];
  } catch {
    return [];
  }
}

/** Date headers have whole seconds, and an answer takes its time. */
const SKEW_MS = 5_000;

function clock({ clockAhead }: Wire): Finding {
  if (clockAhead === null) return { part: 'clock', level: 'warn', message: 'the server does not say its time' };
  const seconds = Math.round(Math.abs(clockAhead) / 1000);
  if (Math.abs(clockAhead) <= SKEW_MS)
    return { part: 'clock', level: 'pass', message: 'agrees with the server to within seconds' };
  return {
    part: 'clock',
    level: 'warn',
    message: `this machine is ${seconds} s ${clockAhead > 0 ? 'behind' : 'ahead of'} the server`,
    advice: '--since 1h counts from this clock: set it by NTP',
  };
}

async function token(wire: Wire, server: Server): Promise<Finding> {
  if (server.token === null && server.audience === null)
    return {
      part: 'token',
      level: 'fail',
      ending: 'unauthorised',
      message: 'none is given',
      advice: 'sluice login, or SLUICE_TOKEN',
    };
  const answer = await wire.send({ method: 'GET', path: '/rollouts?limit=1', within: PATIENCE.look.first * 5 });
  if (answer.kind === 'silence') return { part: 'token', level: 'warn', message: `not checked: ${answer.message}` };
  if (answer.status === 200) {
    const role = await roleOf(wire);
    return { part: 'token', level: 'pass', message: `valid; role ${role ?? 'not known'}` };
  }
  const problem = problemOf(answer);
  return {
    part: 'token',
    level: 'fail',
    ending: answer.status === 401 || answer.status === 403 ? 'unauthorised' : 'error',
    message: problem?.detail ?? `the answer is ${answer.status}`,
    advice: problem?.suggestion ?? 'sluice login   stores a new one',
  };
}
