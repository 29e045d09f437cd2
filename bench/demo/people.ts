/** Customers, accounts, roles and users of the demo, as plain data. Knows the rights there are, and neither SQL nor vehicles. */
import { PERMISSIONS, type Permission } from '../../api/auth/permissions.ts';
import type { Region } from './cities.ts';
import type { CustomerKey } from './plan.ts';

/** A row of `customer`, with its accounts. */
export interface CustomerSeed {
  readonly key: CustomerKey;
  readonly customer_name: string;
  readonly customer_class: string;
  /** Tells the demo's customers from all others. */
  readonly reference_number: string;
  readonly time_zone: string;
  readonly accounts: readonly AccountSeed[];
}

/** `key` is a region, or `all` for the account above them. The parent comes first. */
export interface AccountSeed {
  readonly key: 'all' | Region;
  readonly account_name: string;
  readonly account_number: string;
  readonly account_type: 'NATIONAL' | 'REGIONAL';
}

/** The big customer, and a small one that must see nothing of it. */
export const CUSTOMERS: readonly CustomerSeed[] = [
  {
    key: 'northline',
    customer_name: 'Northline Freight',
    customer_class: 'carrier',
    reference_number: 'DEMO-NORTHLINE',
    time_zone: 'America/Chicago',
    accounts: [
      account('all', 'Northline Freight', 'NL-000'),
      account('midwest', 'Northline Midwest', 'NL-100'),
      account('south', 'Northline South', 'NL-200'),
      account('coasts', 'Northline Coasts', 'NL-300'),
    ],
  },
  {
    key: 'cascade',
    customer_name: 'Cascade Cold Chain',
    customer_class: 'carrier',
    reference_number: 'DEMO-CASCADE',
    time_zone: 'America/Los_Angeles',
    accounts: [account('all', 'Cascade Cold Chain', 'CC-000')],
  },
];

function account(key: AccountSeed['key'], account_name: string, number: string): AccountSeed {
  const account_type = key === 'all' ? 'NATIONAL' : 'REGIONAL';
  return { key, account_name, account_number: number, account_type };
}

/** What somebody may do. */
export type RoleKey = 'admin' | 'dispatcher' | 'viewer';

/** What only those who look after the devices have to see. */
const KEEPING: readonly Permission[] = [
  'gateway_token:read',
  'ingest_reject:read',
  'knocking_device:read',
];
const READING = PERMISSIONS.filter(
  (permission) => permission.endsWith(':read') && !KEEPING.includes(permission),
);
const WRITING: readonly Permission[] = ['geofence:write', 'telematic_alert:write'];

/** The same for every customer. */
export const ROLES: readonly {
  readonly key: RoleKey;
  readonly name: string;
  readonly permissions: readonly Permission[];
}[] = [
  { key: 'admin', name: 'Administrator', permissions: PERMISSIONS },
  { key: 'dispatcher', name: 'Dispatcher', permissions: [...READING, ...WRITING] },
  { key: 'viewer', name: 'Viewer', permissions: READING },
];

/** A row of `user`. */
export interface UserSeed {
  readonly email: string;
  readonly customer: CustomerKey;
  readonly role: RoleKey;
  /** The one account that the user is held to; null is all of them. */
  readonly region: Region | null;
  readonly first_name: string;
  readonly last_name: string;
  /** For the person who starts the demo. */
  readonly says: string;
}

/** Everyone who can sign in. The first is the one to begin with. */
export const USERS: readonly UserSeed[] = [
  user('admin@northline.example', 'northline', ['Ada', 'Park'], {
    role: 'admin',
    says: 'everything of Northline Freight',
  }),
  user('dispatch@northline.example', 'northline', ['Ben', 'Ortiz'], {
    role: 'dispatcher',
    says: 'edits fences and alerts',
  }),
  user('viewer@northline.example', 'northline', ['Cleo', 'Novak'], {
    role: 'viewer',
    says: 'reads only',
  }),
  user('south@northline.example', 'northline', ['Dev', 'Rao'], {
    role: 'dispatcher',
    region: 'south',
    says: 'sees the account Northline South only',
  }),
  user('admin@cascade.example', 'cascade', ['Eve', 'Lind'], {
    role: 'admin',
    says: 'another customer: sees nothing of Northline',
  }),
];

function user(
  email: string,
  customer: CustomerKey,
  [first_name, last_name]: readonly [string, string],
  may: { role: RoleKey; region?: Region; says: string },
): UserSeed {
  const { role, region = null, says } = may;
  return { email, customer, role, region, first_name, last_name, says };
}

/** The subject of a user's tokens, and so the `auth_0_reference_id` of the row. */
export function subjectOf({ email }: UserSeed): string {
  return `demo|${email}`;
}
