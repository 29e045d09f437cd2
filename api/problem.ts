/**
 * What is said when a request cannot be served: RFC 9457 problem details. A 4xx says what to change and where; a 5xx
 * says nothing of the inside. Codes are part of the interface and are never reused.
 */

/** Status and title by code. The `type` of a problem is `urn:milepost:problem:` and the code. */
export const PROBLEMS = {
  malformed_request: [400, 'The request is malformed'],
  invalid_request: [400, 'The request does not fit its description'],
  unauthenticated: [401, 'A valid access token is needed'],
  unknown_user: [403, 'The token is good, but its user is not active here'],
  forbidden: [403, 'The right to do this is missing'],
  not_found: [404, 'There is no such thing'],
  request_timeout: [408, 'The request took too long to arrive'],
  conflict: [409, 'The request conflicts with what is stored'],
  gone: [410, 'It is not given out any more'],
  precondition_failed: [412, 'It has been changed since it was read'],
  precondition_required: [428, 'It must be said which version is meant'],
  payload_too_large: [413, 'The request is too large'],
  uri_too_long: [414, 'The address is too long'],
  unsupported_media_type: [415, 'The content type is not supported'],
  range_not_satisfiable: [416, 'The range lies beyond the end'],
  unprocessable: [422, 'The request makes no sense as it is'],
  rate_limited: [429, 'Too many requests'],
  headers_too_large: [431, 'The headers are too large'],
  internal: [500, 'The server failed'],
  unavailable: [503, 'The server cannot do this just now'],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEMS;
export type RequestPart = 'body' | 'query' | 'path' | 'header';

/** One thing that is wrong with the request: where (a JSON pointer within `in`) and why. */
export interface FieldError {
  readonly in: RequestPart;
  readonly pointer: string;
  readonly detail: string;
}

/** The content type of every error. */
export const PROBLEM_CONTENT_TYPE = 'application/problem+json';
/** Seconds after which a refused client is told to try again, when nothing better is known. */
export const RETRY_AFTER_S = 5;

/** Thrown to end a request with that problem. `errors` name fields; `headers` go into the response. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;
  /** Where what was refused is a state: those that may follow instead. */
  readonly allowedTransitions: readonly string[] | null;

  constructor(
    code: ProblemCode,
    detail: string,
    extra: {
      errors?: readonly FieldError[];
      headers?: Readonly<Record<string, string>>;
      allowedTransitions?: readonly string[];
      cause?: unknown;
    } = {},
  ) {
    super(detail, 'cause' in extra ? { cause: extra.cause } : undefined);
    this.name = 'Problem';
    this.code = code;
    this.errors = extra.errors ?? [];
    this.headers = extra.headers ?? {};
    this.allowedTransitions = extra.allowedTransitions ?? null;
  }

  get status(): number {
    return PROBLEMS[this.code][0];
  }
}

/** The body of a problem response. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: ProblemCode;
  requestId: string;
  errors: readonly FieldError[];
  allowedTransitions?: readonly string[];
}

/** `instance` is the path asked for, without its query: a query may hold what does not belong into logs. */
export function problemBody(problem: Problem, instance: string, requestId: string): ProblemBody {
  const [status, title] = PROBLEMS[problem.code];
  return {
    type: `urn:milepost:problem:${problem.code}`,
    title,
    status,
    detail: problem.message,
    instance: instance.split('?', 1)[0]!,
    code: problem.code,
    requestId,
    errors: problem.errors,
    ...(problem.allowedTransitions && { allowedTransitions: problem.allowedTransitions }),
  };
}

/** A problem of one field. */
export function fieldProblem(
  code: ProblemCode,
  at: RequestPart,
  pointer: string,
  detail: string,
): Problem {
  return new Problem(code, `${pointer}: ${detail}`, { errors: [{ in: at, pointer, detail }] });
}

/** 404 for a row that is not there or is not the caller's: the two cannot be told apart. */
export function notFound(what: string): Problem {
  return new Problem('not_found', `there is no such ${what}`);
}

/** A name as a part of a JSON pointer (RFC 6901). */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
