/**
 * The headers that protect a browser, on every answer: those of helmet, which are the same for all of them. The plugin
 * would put them together anew for each request, so they are taken once, from an answer of a server that has it.
 */
import helmet, { type FastifyHelmetOptions } from '@fastify/helmet';
import Fastify, { type FastifyInstance } from 'fastify';

/** Routes may set them otherwise. */
export async function installBrowserHeaders(
  app: FastifyInstance,
  options: FastifyHelmetOptions,
): Promise<void> {
  const headers = await headersOf(options);
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers);
    done();
  });
}

async function headersOf(options: FastifyHelmetOptions): Promise<Record<string, string>> {
  const sample = Fastify();
  await sample.register(helmet, options);
  let headers: Record<string, string> = {};
  sample.setNotFoundHandler((_request, reply) => {
    // Set so far: by the plugin alone.
    headers = { ...reply.raw.getHeaders() } as Record<string, string>;
    return reply.send();
  });
  await sample.inject('/');
  await sample.close();
  return headers;
}
