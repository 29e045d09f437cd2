/** Customers, accounts, roles and users, and what people have chosen for themselves. */
import { Type } from 'typebox';
import {
  account,
  columnPreferences,
  columnPreferenceTableName,
  customer,
  identityTask,
  tenQuickLink,
  user,
  userRole,
} from '../../db/schema.ts';
import { PERMISSIONS, rolePermissionOf } from '../auth/permissions.ts';
import { quickLinkRules } from '../quick-links/rules.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { closed, oneOf } from '../schemas.ts';
import { columnPreferenceRules, VIEW_COLUMNS_MAX } from '../views/rules.ts';
import { AmountFromZero } from './amounts.ts';
import { CountryCode, CurrencyCode, DialledPhone } from './codes.ts';
import { accountRules, customerRules, userRoleRules, userRules } from './people-rules.ts';

const Email = Type.String({ format: 'email', maxLength: 254 });
const TimeZone = Type.String({
  pattern: '^(UTC|Etc/(UTC|GMT([+-]?[0-9]{1,2})?)|[A-Z][A-Za-z]+(/[A-Z][A-Za-z_-]+)+)$',
  maxLength: 64,
  description: 'A name of the IANA list, such as America/Chicago.',
});

const RolePermission = closed(
  Object.fromEntries(
    Object.entries(rolePermissionOf(PERMISSIONS)).map(([right, actions]) => [
      right,
      Type.Optional(Type.Array(oneOf(actions), { uniqueItems: true, maxItems: actions.length })),
    ]),
  ),
);
const ColumnName = Type.String({ pattern: '^[a-z][a-z0-9_]{0,62}$' });

const customers: ResourceDeclaration = {
  table: customer,
  path: 'customers',
  noun: 'customer',
  nouns: 'customers',
  tag: 'people',
  right: 'customer',
  creatable: false,
  deletable: false,
  derived: ['customer_class', 'reference_number', 'status', 'currency_code'],
  fields: {
    time_zone: TimeZone,
    contact_email: Email,
    contact_phone: DialledPhone,
    country_code: CountryCode,
  },
  example: {
    customer_name: 'Northline Freight',
    time_zone: 'America/Chicago',
    contact_name: 'Ada Park',
    contact_email: 'fleet@northline.example',
    contact_phone: '+13125550100',
    billing_street: '200 W Lake St',
    billing_city: 'Chicago',
    billing_state_code: 'IL',
    billing_postal_code: '60606',
    country_code: 'US',
  },
  rules: customerRules,
};

const accounts: ResourceDeclaration = {
  table: account,
  path: 'accounts',
  noun: 'account',
  nouns: 'accounts',
  tag: 'people',
  right: 'account',
  fields: {
    contact_email: Email,
    contact_phone: DialledPhone,
    country_code: CountryCode,
    currency_code: CurrencyCode,
    credit_limit: AmountFromZero,
    repair_approval_limit: AmountFromZero,
    payment_terms_days: Type.Integer({ minimum: 0, maximum: 365 }),
  },
  references: { parent_account_id: 'account' },
  example: {
    account_name: 'Northline Midwest',
    account_number: 'NL-100',
    account_type: 'REGIONAL',
    contact_name: 'Ben Ortiz',
    contact_email: 'midwest@northline.example',
    contact_phone: '+13125550101',
    street: '4100 S Pulaski Rd',
    city: 'Chicago',
    state_code: 'IL',
    postal_code: '60632',
    country_code: 'US',
    currency_code: 'USD',
    credit_limit: 250_000,
    repair_approval_limit: 1_500,
    payment_terms_days: 30,
  },
  rules: accountRules,
};

const userRoles: ResourceDeclaration = {
  table: userRole,
  path: 'user-roles',
  noun: 'user role',
  nouns: 'user roles',
  tag: 'people',
  right: 'user_role',
  derived: ['auth0_role_id', 'auth0_synced_at', 'auth0_sync_error', 'is_system'],
  long: ['description'],
  fields: { role_permission: RolePermission },
  example: {
    name: 'Dispatcher',
    description: 'Looks after units on the road.',
    role_permission: { equipment: ['read'], geofence: ['read', 'write'] },
  },
  rules: userRoleRules,
};

const identityTasks: ResourceDeclaration = {
  table: identityTask,
  path: 'identity-tasks',
  noun: 'identity task',
  nouns: 'identity tasks',
  tag: 'people',
  // Written by the database when a role or a user changes.
  right: 'user_role',
  writable: false,
  hidden: ['runner_id', 'beat_at'],
};

const users: ResourceDeclaration = {
  table: user,
  path: 'users',
  noun: 'user',
  nouns: 'users',
  tag: 'people',
  right: 'user',
  deletable: false,
  heldMayWrite: true,
  derived: ['status', 'approved_by', 'approved_at', 'rejected_reason', 'last_sign_in_at'],
  fields: {
    email: Email,
    phone: DialledPhone,
    country_code: CountryCode,
    time_zone: TimeZone,
    language_code: Type.String({ pattern: '^[a-z]{2}(-[A-Z]{2})?$', description: 'BCP 47.' }),
  },
  references: {
    approved_by: 'user',
    date_format_id: 'user_metric_lookup',
    time_format_id: 'user_metric_lookup',
    temperature_unit_id: 'user_metric_lookup',
    distance_unit_id: 'user_metric_lookup',
    pressure_unit_id: 'user_metric_lookup',
  },
  example: {
    user_role_id: 1,
    email: 'dispatch@northline.example',
    first_name: 'Ben',
    last_name: 'Ortiz',
    assigned_account_ids: [],
    phone: '+13125550102',
    country_code: 'US',
    time_zone: 'America/Chicago',
    language_code: 'en-US',
  },
  rules: userRules,
};

const columnPreferenceTables: ResourceDeclaration = {
  table: columnPreferenceTableName,
  path: 'column-preference-tables',
  noun: 'list with a choice of columns',
  nouns: 'lists with a choice of columns',
  tag: 'people',
  right: 'lookup',
  writable: false,
  shown: { table_name: 'equipment', description: 'Units' },
};

const columnPreferencesOfPeople: ResourceDeclaration = {
  table: columnPreferences,
  path: 'column-preferences',
  noun: 'column preference',
  nouns: 'column preferences',
  tag: 'people',
  // Row-level security shows everybody their own alone.
  right: 'signed_in',
  derived: ['user_id'],
  fixed: ['column_preference_table_name_id'],
  fields: {
    selected_columns: Type.Array(ColumnName, {
      minItems: 1,
      maxItems: VIEW_COLUMNS_MAX,
      uniqueItems: true,
      description: 'In the order in which they are shown.',
    }),
    sort: Type.String({ pattern: '^-?[a-z][a-z0-9_]*(,-?[a-z][a-z0-9_]*)*$', maxLength: 200 }),
  },
  example: {
    column_preference_table_name_id: 1,
    view_name: 'My units',
    selected_columns: ['unit_number', 'vin', 'status'],
    sort: '-unit_number',
    filters: { status: { eq: 'active' } },
    is_default: true,
  },
  notes: {
    create:
      'Used by lists, exports and export jobs as `view`. `filters` are as those of the list: field, operator, text.',
  },
  rules: columnPreferenceRules,
};

const quickLinks: ResourceDeclaration = {
  table: tenQuickLink,
  path: 'quick-links',
  noun: 'quick link',
  nouns: 'quick links',
  tag: 'people',
  right: 'quick_link',
  sort: 'sort_order,name',
  long: ['description'],
  fields: {
    link: Type.String({
      pattern: '^https://[^\\s/?#]+[^\\s]*$',
      maxLength: 2_048,
      description:
        'Opened by people: https alone, without a user or password in it, and its host in ASCII.',
    }),
    sort_order: Type.Integer({ minimum: 0, maximum: 10_000 }),
  },
  example: {
    name: 'Tire supplier',
    link: 'https://tires.example/orders',
    description: 'Order tires and see what is on its way.',
    sort_order: 1,
  },
  rules: quickLinkRules,
};

export const peopleResources: readonly ResourceDeclaration[] = [
  customers,
  accounts,
  userRoles,
  identityTasks,
  users,
  columnPreferenceTables,
  columnPreferencesOfPeople,
  quickLinks,
];
