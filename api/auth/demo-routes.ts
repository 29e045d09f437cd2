/** The local issuer over HTTP: its key set, and signing in with email and password. For the demo only. */
import type { FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { createAddressLimiter, requireRate, type RateLimits } from '../guard.ts';
import { Problem } from '../problem.ts';
import { closed, problems } from '../schemas.ts';
import type { LocalIssuer } from './local-issuer.ts';
import { PASSWORD_LENGTH_MAX } from './password.ts';

/** Where the key set is, relative to the server. */
export const DEMO_JWKS_PATH = '/demo/.well-known/jwks.json';
export const DEMO_SIGN_IN_PATH = '/demo/sign-in';
/** Characters of an email address (RFC 5321). */
const EMAIL_LENGTH_MAX = 254;

const Token = Type.Object({
  access_token: Type.String(),
  token_type: Type.String(),
  expires_in: Type.Integer({ description: 'Seconds.' }),
});
const Keys = Type.Object({ keys: Type.Array(Type.Record(Type.String(), Type.String())) });
const SignIn = closed(
  {
    email: Type.String({ minLength: 3, maxLength: EMAIL_LENGTH_MAX }),
    password: Type.String({ minLength: 1, maxLength: PASSWORD_LENGTH_MAX }),
  },
  { examples: [{ email: 'ann@example.test', password: 'correct horse battery staple' }] },
);

/** Adds the routes. */
export function addDemoIssuerRoutes(
  app: FastifyInstance,
  issuer: LocalIssuer,
  rateLimits: RateLimits,
): void {
  const routes = app.withTypeProvider<TypeBoxTypeProvider>();
  const attempts = createAddressLimiter(app, rateLimits, rateLimits.signInPerAddressMax);
  const keysSchema = {
    operationId: 'getDemoKeys',
    tags: ['demo'],
    summary: 'Public keys of the local issuer',
    response: { 200: Keys },
  };
  routes.get(
    DEMO_JWKS_PATH,
    // The server fetches its own key set: it must not be held up by its own limits.
    { config: { public: true, rateLimit: false }, schema: keysSchema },
    () => issuer.jwks as { keys: Record<string, string>[] },
  );

  const signInSchema = {
    operationId: 'demoSignIn',
    tags: ['demo'],
    summary: 'Sign in with email and password',
    body: SignIn,
    response: { 200: Token, ...problems(400, 401, 413, 415, 429) },
  };
  routes.post(
    DEMO_SIGN_IN_PATH,
    { config: { public: true }, schema: signInSchema },
    async (request, reply) => {
      await requireRate(attempts, request);
      const token = await issuer.signIn(request.body.email, request.body.password);
      if (!token) throw new Problem('unauthenticated', 'email or password is wrong');
      reply.header('cache-control', 'no-store');
      return token;
    },
  );
}
