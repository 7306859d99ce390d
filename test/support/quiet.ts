/** Ports that keep quiet, for tests that are not about them. */
import type { Logger, Recorder } from '../../src/app/ports.ts';

export const quietLog: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => quietLog };

export const deafRecorder: Recorder = {
  tick() {},
  check() {},
  meshWrite() {},
  metricsQuery() {},
  notification() {},
  httpRequest() {},
  spans() {},
  async expose() {
    return { contentType: 'text/plain', body: '' };
  },
};
