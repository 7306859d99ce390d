/** Results of a check, as its files write them. */
import type { CheckResult, Evidence } from '../check.ts';

export const pass = (message: string, evidence: Evidence): CheckResult => ({ status: 'pass', message, evidence });
export const warn = (message: string, evidence: Evidence, remediation: string): CheckResult => ({
  status: 'warn',
  message,
  evidence,
  remediation,
});
export const fail = (message: string, evidence: Evidence, remediation: string): CheckResult => ({
  status: 'fail',
  message,
  evidence,
  remediation,
});
