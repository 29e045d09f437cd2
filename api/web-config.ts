/** `/web-config.json`: what the browser's map is told before anybody has signed in. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';

const WebConfigSchema = Type.Object({ live_url: Type.String(), demo: Type.Boolean() });

/** The route, as a plugin. `demo`: whether people may sign in as those of the demo. */
export function webConfigPlugin(
  liveUrl: string,
  demo: boolean,
): (app: FastifyInstance) => Promise<void> {
  return (app) => {
    app.get(
      '/web-config.json',
      {
        config: { public: true },
        schema: {
          operationId: 'getWebConfig',
          tags: ['server'],
          summary: 'Where the live map connects',
          response: { 200: WebConfigSchema },
        },
      },
      () => ({ live_url: liveUrl, demo }),
    );
    return Promise.resolve();
  };
}
