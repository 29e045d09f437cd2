/** The description of the interface: OpenAPI 3.1 made from the routes' own schemas, and a page to read it. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { shareComponents } from './openapi-components.ts';

const INFO_TEXT = `Fleet portal and telematics.

**Who asks.** Every request bears an access token (\`Authorization: Bearer …\`); tenant, accounts and rights of the caller
come from the database. \`x-required-permission\` is the right that an operation asks for. What belongs to another
customer, or to an account that the caller does not see, is not there: 404, in lists and searches too.

**Lists** are paged by cursor: repeat the request with \`cursor\` set to \`next_cursor\` while \`has_more\` is true.
\`filter[field][operator]=value\` narrows them, \`filter[field]=value\` for equality; all conditions must hold.
\`sort=-field,field\` orders them, \`fields=a,b\` chooses columns. \`…/export\` gives the whole list as CSV or XLSX.

**Changes** are merge patches (RFC 7396). A row carries its \`version\` as its \`ETag\`; a change or deletion wants it back
in \`If-Match\`, is refused with 412 when somebody else was faster, and with 428 without it. \`If-None-Match\` on a row
answers 304. A create with an \`Idempotency-Key\` is done once, however often it is sent. \`…/bulk\` makes many rows and
answers each for itself. Rows that are evidence are marked as deleted and kept: \`deleted=include\` lists them. Every
write is told by \`/v1/audit-trail\`, with the values before and after.

**Errors** are RFC 9457 problem details: compare \`code\`, show \`detail\`, and look at \`errors\` for the fields.
\`RateLimit-Policy\` and \`RateLimit\` say how many requests are allowed and left; 429 and 503 carry \`Retry-After\`.

Times are RFC 3339 in UTC, days \`YYYY-MM-DD\`, amounts of money beside their \`currency_code\`, numbers SI with the unit
in the field's name.`;

const TAGS = [
  { name: 'user', description: 'The signed-in user.' },
  { name: 'expiration', description: 'What runs out.' },
  { name: 'search', description: 'Everything that has a name or a number.' },
  { name: 'people', description: 'Customers, accounts, roles, users, and what people chose.' },
  { name: 'equipment', description: 'Units of the fleet, and what belongs to them.' },
  { name: 'agreements', description: 'Agreements, their lines, quotas, and who has which unit.' },
  { name: 'service', description: 'Service requests and work orders.' },
  { name: 'roadside', description: 'Calls from the side of the road.' },
  { name: 'maintenance', description: 'What is due, and what was done.' },
  { name: 'inspections', description: 'DOT inspections and their violations.' },
  { name: 'billing', description: 'Invoices, payments, and which went to which.' },
  { name: 'vehicles', description: 'Vehicles with their papers, in one piece and table by table.' },
  { name: 'notifications', description: 'Who is told of what, and in which words.' },
  { name: 'attachment', description: 'Files that hang on units and other records.' },
  { name: 'export', description: 'Large lists as files, made as jobs.' },
  { name: 'changes', description: 'What was written, for those who keep a copy.' },
  { name: 'activity', description: 'What happened, and who wrote what.' },
  { name: 'telematics', description: 'Positions, sensor readings, and refused input.' },
  { name: 'geofence', description: 'Fences.' },
  { name: 'telematic_alert', description: 'Alert rules.' },
  { name: 'iot_device', description: 'Devices: their tokens, units, commands and events.' },
  { name: 'gateway_token', description: 'Tokens that speak for many devices.' },
  { name: 'knocking_device', description: 'Devices that spoke and are not registered.' },
  { name: 'telemetry', description: 'For devices: fixes and readings come in.' },
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
    transformObject: (made) => {
      const { openapiObject } = made as unknown as {
        openapiObject: Parameters<typeof shareComponents>[0];
      };
      return shareComponents(openapiObject);
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
