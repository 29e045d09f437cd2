/** How failures leave the server: always as problem details, with 5xx logged in full and told in nothing. */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Problem, PROBLEM_CONTENT_TYPE, problemBody } from './problem.ts';
import { toProblem } from './problem-mapping.ts';

/** Statuses from which on a problem is the server's own. */
const SERVER_STATUS_MIN = 500;

/** Sets the handlers of errors and of unknown addresses. */
export function installErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => sendProblem(toProblem(error), request, reply));
  app.setNotFoundHandler((request, reply) => {
    const detail = `${request.method} is not offered at this address`;
    return sendProblem(new Problem('not_found', detail), request, reply);
  });
}

/** For addresses that cannot be routed at all. */
export function refuseBadRequest(
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  reply.header('x-request-id', request.id);
  void sendProblem(toProblem(error), request, reply);
}

function sendProblem(problem: Problem, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (problem.status >= SERVER_STATUS_MIN) {
    request.log.error({ err: problem.cause ?? problem, code: problem.code }, 'request failed');
  } else if (problem.cause !== undefined) {
    request.log.warn({ err: problem.cause, code: problem.code }, 'request refused by the database');
  }
  const body = problemBody(problem, request.url, String(request.id));
  return reply
    .code(problem.status)
    .headers(problem.headers)
    .header('cache-control', 'no-store')
    .type(PROBLEM_CONTENT_TYPE)
    .send(JSON.stringify(body));
}

/** Connections on which a request may take longer to arrive than the server allows. */
const slowSockets = new WeakSet<Socket>();

/**
 * Lets the request that is arriving on this connection take its time; whoever calls this must limit it. Node asks every
 * request's server, and not its route, how long it may take. The function that it gives ends the exemption.
 */
export function allowSlowRequest(socket: Socket): () => void {
  slowSockets.add(socket);
  return () => void slowSockets.delete(socket);
}

/** For what comes in and is no HTTP, or not in time: answered once, then the connection is closed. */
export function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && slowSockets.has(socket)) return;
  if (!socket.writable) return void socket.destroy();
  const problem = brokenRequest(error.code);
  const requestId = randomUUID();
  const body = JSON.stringify(problemBody(problem, '', requestId));
  socket.end(
    [
      `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
      `Content-Type: ${PROBLEM_CONTENT_TYPE}; charset=utf-8`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      'Connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}

function brokenRequest(code: string | undefined): Problem {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request_timeout', 'send the whole request at once');
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('headers_too_large', 'send fewer or shorter headers');
    default:
      return new Problem('malformed_request', 'this is not HTTP');
  }
}
