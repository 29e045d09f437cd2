/** Two tenants in a fresh database, each with a user who may everything and devices with tokens. Knows SQL. */
import pg from 'pg';
import { PERMISSIONS, rolePermissionOf } from '../../api/auth/permissions.ts';
import { valueTypes } from '../../db/pools.ts';
import { seedTestFleet, type TestFleet } from '../../ingest/test-fleet.ts';

export interface ProofTenant extends TestFleet {
  /** What the token of its user says. */
  readonly subject: string;
  /** The name on the wire and the token of the unit with this number, from 0. */
  credentials(unit: number): Credentials;
}

export interface Credentials {
  readonly device: string;
  readonly token: string;
}

/** Devices are called `{name}-dev-1`… and their tokens `{name}-token-1`…; `name` is in lower case. */
export async function seedProofTenant(
  ownerUrl: string,
  name: string,
  unitCount: number,
): Promise<ProofTenant> {
  const prefix = `${name}-`;
  const fleet = await seedTestFleet(ownerUrl, unitCount, prefix);
  const subject = `proof|${name}`;
  const client = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await client.connect();
  try {
    const role = await client.query<{ id: number }>(
      `insert into user_role (customer_id, name, role_permission) values ($1, 'Everything', $2)
       returning user_role_id as id`,
      [fleet.customerId, JSON.stringify(rolePermissionOf(PERMISSIONS))],
    );
    await client.query(
      `insert into "user" (customer_id, user_role_id, email, auth_0_reference_id)
       values ($1, $2, $3, $4)`,
      [fleet.customerId, role.rows[0]!.id, `somebody@${name}.test`, subject],
    );
  } finally {
    await client.end();
  }
  const credentials = (unit: number): Credentials => ({
    device: `${prefix}dev-${unit + 1}`,
    token: `${prefix}token-${unit + 1}`,
  });
  return { ...fleet, subject, credentials };
}
