/** What went wrong, in three parts: as the control API tells it, and as it is shown. */

import type { components } from './api.generated.js';

export type Problem = components['schemas']['Problem'];

/** What happened, its probable cause, and what to type next. */
export class SeatrialError extends Error {
  override readonly name = 'SeatrialError';
  /** What happened, in one sentence. */
  readonly what: string;
  /** The probable cause; empty where `what` says it. */
  readonly why: string;
  /** What to type or change next. */
  readonly fix: string;

  constructor(problem: Problem) {
    const why = problem.cause ? `\n  why: ${problem.cause}` : '';
    const fix = problem.fix ? `\n  fix: ${problem.fix}` : '';
    super(`${problem.what}${why}${fix}`);
    this.what = problem.what;
    this.why = problem.cause;
    this.fix = problem.fix;
  }
}

/** Whether a value that was parsed from JSON has the three parts. */
export function isProblem(value: unknown): value is Problem {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['what', 'cause', 'fix'].every((part) => typeof (value as Record<string, unknown>)[part] === 'string')
  );
}
