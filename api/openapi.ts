/** The description of the interface: OpenAPI 3.1 made from the routes' own schemas, and a page to read it. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

const INFO_TEXT = `Fleet portal and telematics.

Every request bears an access token (\`Authorization: Bearer …\`); the tenant and the rights of the caller come from the
database. \`x-required-permission\` is the right that an operation asks for. Lists are paged by cursor: repeat the request
with \`cursor\` set to \`next_cursor\` while \`has_more\` is true. Errors are RFC 9457 problem details: compare \`code\`, show
\`detail\`, and look at \`errors\` for the fields. Rows with a \`version\` carry it as their \`ETag\`; a change with \`If-Match\` is
refused with 412 when somebody else was faster. Times are RFC 3339 in UTC, numbers SI with the unit in the field name.`;

const TAGS = [
  { name: 'user', description: 'The signed-in user.' },
  { name: 'equipment', description: 'Units of the fleet.' },
  { name: 'telematics', description: 'Positions, sensor readings, and refused input.' },
  { name: 'iot_device', description: 'Devices: their tokens, units, commands and events.' },
  { name: 'gateway_token', description: 'Tokens that speak for many devices.' },
  { name: 'knocking_device', description: 'Devices that spoke and are not registered.' },
  { name: 'telemetry', description: 'For devices: fixes and readings come in.' },
  { name: 'geofence', description: 'Fences.' },
  { name: 'telematic_alert', description: 'Alert rules.' },
  { name: 'attachment', description: 'Files that hang on units and other records.' },
  { name: 'activity', description: 'What happened.' },
  { name: 'lookup', description: 'Lists that forms are filled from.' },
  { name: 'server', description: 'For those who run it.' },
  { name: 'demo', description: 'The local token issuer; not in production.' },
];

/** Collects routes from here on; to be called before they are added. The document is served once all are there. */
export async function installOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Milepost', version, description: INFO_TEXT },
      tags: TAGS,
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        },
      },
    },
    refResolver: {
      buildLocalReference: (json, _baseUri, _fragment, i) =>
        typeof json['$id'] === 'string' ? json['$id'] : `schema-${i}`,
    },
    transform: ({ schema, url, route }) => {
      const { permission } = route.config ?? {};
      const declared = permission
        ? { security: [{ bearer: [] }], 'x-required-permission': permission }
        : { security: [] };
      // Routes without a schema have nothing to tell a caller.
      return { schema: schema ? { ...schema, ...declared } : { hide: true }, url };
    },
  });
}

/** Serves the page at `/docs` and the document at `/docs/json`. */
export async function addDocumentation(app: FastifyInstance): Promise<void> {
  await app.register(async (docs) => {
    docs.routesArePublic = true;
    await docs.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      // On plain HTTP the page must not ask for its own files over HTTPS.
      transformStaticCSP: (header) => header.replace(/upgrade-insecure-requests;?/, ''),
    });
  });
}
