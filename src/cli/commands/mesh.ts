/** `sluice mesh`: is the mesh of a cluster installed and well, as the server sees it? */
import { PATIENCE } from '../call.ts';
import type { Call } from '../command.ts';
import type { Ending } from '../exit-codes.ts';
import { printDocument } from '../show/data.ts';
import { findingLines } from '../show/findings.ts';
import type { Line } from '../show/line.ts';
import { toned } from '../show/line.ts';
import type { MeshBody } from '../wire/api.ts';

const USUAL_CLUSTER = 'default';

export async function run(call: Call): Promise<Ending> {
  const { args, output, terminal } = call;
  const query = new URLSearchParams();
  for (const name of ['mesh', 'proxy', 'namespace'] as const) {
    const value = call.text(name);
    if (value !== undefined) query.set(name, value);
  }
  const api = await call.api(PATIENCE.look);
  const body = await api.mesh(args[0] ?? USUAL_CLUSTER, query);
  if (output !== null) await printDocument(terminal, output, body, []);
  else for (const line of linesOf(body, terminal.unicode)) terminal.line(line);
  return body.findings.some(({ level, ignored }) => level === 'fail' && ignored !== true) ? 'refused' : 'done';
}

function linesOf(body: MeshBody, unicode: boolean): readonly Line[] {
  const { cluster, mesh, controlPlane, installed, version, profile, findings } = body;
  const known = [version ?? 'version unknown', ...(profile === null ? [] : [`profile ${profile}`])].join(', ');
  const state: Line =
    installed === null
      ? [toned('warn', 'not known whether it is installed')]
      : installed
        ? [toned('good', `installed, ${known}`)]
        : [toned('bad', 'not installed, or not well')];
  return [
    [toned('strong', `${mesh} in cluster ${cluster}`), `, control plane in ${controlPlane}: `, ...state],
    ...findingLines(findings, unicode),
  ];
}
