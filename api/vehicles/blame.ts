/**
 * Says of what went wrong in a step which field of the whole request is to blame: a row of a table knows its columns, and
 * not where in the body it stood.
 */
import { toProblem } from '../problem-mapping.ts';
import { fieldProblem, Problem, type FieldError } from '../problem.ts';

export const IMEI = '/gps_tracker_imei_number';
/** One answer whoever holds the tracker, this tenant or another, and by whatever the clash came out. */
const IMEI_TAKEN = 'is registered already';

/** 409 for a tracker that is somebody's. */
export function trackerTaken(): Problem {
  return fieldProblem('conflict', 'body', IMEI, IMEI_TAKEN);
}

/** Where the fields of a step stand in the body. */
export interface Place {
  /** Before the pointers of the step. */
  readonly at?: string;
  /** Pointers of fields that are called otherwise in the body. */
  readonly names?: Readonly<Record<string, string>>;
  /** What is to blame where the step names no field. */
  readonly otherwise?: string;
}

/** Does the step. A problem of its is thrown with the pointers of the body; the server's own trouble is as it was. */
export async function blame<T>(place: Place, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const problem = toProblem(error);
    throw problem.status >= 500 ? error : placed(problem, place);
  }
}

function placed(problem: Problem, { at = '', names = {}, otherwise }: Place): Problem {
  const { code, message, headers, cause } = problem;
  const errors: FieldError[] = problem.errors.map((error) => {
    if (error.in !== 'body') return error;
    const pointer = names[error.pointer] ?? at + error.pointer;
    const isTracker = code === 'conflict' && pointer === IMEI;
    return { in: 'body', pointer, detail: isTracker ? IMEI_TAKEN : error.detail };
  });
  const pointer = otherwise ?? (at === '' ? undefined : at);
  if (errors.length === 0 && pointer !== undefined) {
    errors.push({ in: 'body', pointer, detail: message });
  }
  const detail = errors.map((error) => `${error.pointer}: ${error.detail}`).join('; ') || message;
  return new Problem(code, detail, { errors, headers, ...(cause !== undefined && { cause }) });
}
