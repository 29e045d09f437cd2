/**
 * What runs out: papers of vehicles and units, inspections, files, agreements. For each kind, which rows are in force: a row
 * that a newer one has taken the place of (`is_superseded`, migrations/0038) is none of them, nor is one of a unit or a vehicle that is not used any more.
 */
import { and, sql, type SQL } from 'drizzle-orm';
import {
  ATTACHMENT_PARENTS,
  columnOf,
  rightTo,
  type AttachmentParent,
} from '../attachments/parents.ts';
import type { Permission } from '../auth/permissions.ts';
import type { Day } from '../calendar.ts';

/** When it is asked, by whom, and for what. */
export interface Asked {
  readonly today: Day;
  readonly nowMs: number;
  readonly permissions: ReadonlySet<Permission>;
  /** Only what is about this unit. */
  readonly equipmentId: number | undefined;
}

/** One kind. Its SQL is made of names of the code's own and of parameters. */
export interface ExpirationKind {
  readonly right: Permission;
  /** Under `/v1/`: where the record is found by its key. */
  readonly path: string;
  /** What is read from, and which of its rows are in force. */
  readonly from: (asked: Asked) => SQL;
  readonly where: (asked: Asked) => SQL;
  readonly id: SQL;
  /** The last day on which it counts. */
  readonly expiresOn: SQL;
  /** What people call it. */
  readonly label: SQL;
  readonly equipmentId: SQL;
  readonly vehicleId: SQL;
  readonly accountId: SQL;
  /** Of a file: the path of what it hangs on. */
  readonly attachedTo: SQL;
}

const NONE = sql`null`;

/** Of a vehicle: `r` is the record, `v` the vehicle. */
const ofVehicle = (table: SQL, via: SQL) => ({
  right: 'vehicle:read' as const,
  from: () => sql`${table} r join vehicle_basic_information_hdr v
    on v.customer_id = r.customer_id and v.vehicle_id_code_hdr = r.${via}`,
  equipmentId: sql`v.equipment_id`,
  vehicleId: sql`v.vehicle_id_code_hdr`,
  accountId: sql`v.account_id`,
  attachedTo: NONE,
});
const RUN = sql`v.deleted_at is null and v.status not in ('sold', 'scrapped')`;

/** Of a unit: `r` is the record, `e` the unit. */
const ofUnit = (table: SQL) => ({
  from: () =>
    sql`${table} r join equipment e on e.customer_id = r.customer_id and e.equipment_id = r.equipment_id`,
  where: () => sql`r.deleted_at is null and e.status <> 'retired'`,
  equipmentId: sql`r.equipment_id`,
  vehicleId: NONE,
  accountId: sql`e.account_id`,
  attachedTo: NONE,
});

/** Plate, registration and special permit stand in one row of a unit, which is written over when one is renewed. */
const unitPaper = (expiresOn: SQL, label: SQL): ExpirationKind => ({
  ...ofUnit(sql`equipment_permit`),
  right: 'equipment:read',
  path: 'equipment-permits',
  id: sql`r.equipment_permit_id`,
  expiresOn,
  label,
});

const agreement = (table: SQL, expiresOn: SQL) => ({
  right: 'agreement:read' as const,
  from: () => sql`${table} r`,
  where: () => sql`r.deleted_at is null and r.status in ('active', 'suspended')`,
  expiresOn,
  equipmentId: NONE,
  vehicleId: NONE,
  accountId: sql`r.account_id`,
  attachedTo: NONE,
});

const attachment: ExpirationKind = {
  right: 'attachment:read',
  path: 'attachments',
  from: (asked) => sql`attachment r cross join lateral (${parentsFor(asked)}) p`,
  where: (asked) => sql`r.deleted_at is null and ${isOnUnit(asked)}`,
  id: sql`r.attachment_id`,
  expiresOn: sql`r.expiration_date`,
  label: sql`r.name`,
  equipmentId: sql`p.equipment_id`,
  vehicleId: NONE,
  accountId: sql`r.account_id`,
  attachedTo: sql`p.path`,
};

/** What files hang on that the caller may read, and of one unit where only that is asked for. */
function readableParents({ permissions, equipmentId }: Asked): readonly AttachmentParent[] {
  return ATTACHMENT_PARENTS.filter((one) => permissions.has(rightTo(one, 'read'))).filter(
    ({ table }) => equipmentId === undefined || columnOf(table, 'equipment_id') !== undefined,
  );
}

/** The first that a file hangs on; a file that hangs on nothing of this is not shown. */
function parentsFor(asked: Asked): SQL {
  const selects = readableParents(asked).map((parent) => {
    const { path, table, link, key } = parent;
    const unit = columnOf(table, 'equipment_id') ?? NONE;
    const id = columnOf(table, key)!;
    return sql`select ${unit}::bigint as equipment_id, '/v1/' || ${path}::text || '/' || ${id} as path
      from ${linkOf(parent, asked)} and ${columnOf(link, 'customer_id')!} = r.customer_id
        and ${columnOf(link, 'attachment_id')!} = r.attachment_id`;
  });
  if (selects.length === 0)
    return sql`select null::bigint as equipment_id, null as path where false`;
  return sql`${sql.join(selects, sql` union all `)} order by path limit 1`;
}

/** Says once more which files those are, so that they are found by the unit and not looked up among all. */
function isOnUnit(asked: Asked): SQL {
  const parents = asked.equipmentId === undefined ? [] : readableParents(asked);
  if (parents.length === 0) return sql`true`;
  const selects = parents.map(
    (parent) =>
      sql`select ${columnOf(parent.link, 'attachment_id')!} from ${linkOf(parent, asked)}`,
  );
  return sql`r.attachment_id in (${sql.join(selects, sql` union all `)})`;
}

/** Links with what they lead to, where that is there and in use: a FROM with its WHERE. */
function linkOf({ type, table, link, key }: AttachmentParent, { equipmentId }: Asked): SQL {
  const deleted = columnOf(table, 'deleted_at');
  const unit = columnOf(table, 'equipment_id')!;
  const where = and(
    sql`true`,
    deleted && sql`${deleted} is null`,
    type === 'equipment' ? sql`${columnOf(table, 'status')!} <> 'retired'` : undefined,
    equipmentId === undefined ? undefined : sql`${unit} = ${equipmentId}::bigint`,
  )!;
  return sql`${link} join ${table} on ${columnOf(table, key)!} = ${columnOf(link, key)!} where ${where}`;
}

/** By the name of a kind. */
export const EXPIRATION_KINDS: Readonly<Record<string, ExpirationKind>> = {
  attachment,
  // The newest passed one of its kind and unit; one that failed does not end it.
  dot_inspection: {
    ...ofUnit(sql`dot_inspection`),
    right: 'dot_inspection:read',
    path: 'dot-inspections',
    where: () =>
      sql`r.deleted_at is null and not r.is_superseded and r.inspection_result = 'pass' and e.status <> 'retired'`,
    id: sql`r.dot_inspection_id`,
    expiresOn: sql`r.expires_on`,
    label: sql`r.inspection_kind || coalesce(' ' || r.report_number, '')`,
    accountId: sql`r.account_id`,
  },
  driver_license: {
    ...ofVehicle(sql`vehicle_driver_mapping`, sql`vehicle_id`),
    path: 'vehicle-driver-mappings',
    where: ({ nowMs }) => sql`${RUN} and r.status = 'active'
      and (r.valid_to is null or r.valid_to > ${new Date(nowMs).toISOString()}::timestamptz)`,
    id: sql`r.vehicle_driver_mapping_id`,
    expiresOn: sql`r.license_expiry_date`,
    label: sql`r.driver_name || coalesce(' ' || r.license_number, '')`,
  },
  equipment_plate: unitPaper(
    sql`r.license_plate_expiration_date`,
    sql`coalesce(r.license_plate_number, '')`,
  ),
  equipment_registration: unitPaper(
    sql`r.registration_expiration_date`,
    sql`coalesce(r.registration_number, '')`,
  ),
  equipment_special_permit: unitPaper(
    sql`r.permit_expiration_date`,
    sql`coalesce(r.permit_number, '')`,
  ),
  master_agreement: {
    ...agreement(sql`master_agreement`, sql`r.contract_end_date`),
    path: 'master-agreements',
    id: sql`r.master_agreement_id`,
    label: sql`r.agreement_number || ' ' || r.agreement_name`,
  },
  schedule_agreement: {
    ...agreement(sql`schedule_agreement`, sql`r.termination_date`),
    path: 'schedule-agreements',
    id: sql`r.schedule_agreement_id`,
    label: sql`r.schedule_number`,
  },
  // The last of its type, for the same permit, cover and service.
  vehicle_document: {
    ...ofVehicle(sql`vehicle_documents`, sql`vehicle_id_code`),
    path: 'vehicle-documents',
    where: () => sql`r.deleted_at is null and not r.is_superseded and ${RUN}`,
    id: sql`r.document_unique_id`,
    expiresOn: sql`r.valid_to`,
    label: sql`r.document_type_id || ' ' || coalesce(r.reference_number, r.document_id)`,
  },
  // One of a vehicle, which is written over when it is renewed.
  vehicle_insurance: {
    ...ofVehicle(sql`vehicle_basic_information_itm`, sql`vehicle_id_code_hdr`),
    path: 'vehicle-insurances',
    where: () => sql`r.deleted_at is null and ${RUN}`,
    id: sql`r.vehicle_item_unique_id`,
    expiresOn: sql`r.policy_expiry_date`,
    label: sql`r.insurance_provider || ' ' || r.policy_number`,
  },
  // The last of its category and code; one without an end is later than all.
  vehicle_permit: {
    ...ofVehicle(sql`vehicle_special_permit`, sql`vehicle_id_code_hdr`),
    path: 'vehicle-permits',
    where: () => sql`r.deleted_at is null and not r.is_superseded and ${RUN}`,
    id: sql`r.vehicle_permit_unique_id`,
    expiresOn: sql`r.permit_expiry_date`,
    label: sql`r.permit_category || ' ' || r.permit_number`,
  },
  // Of the present owner: of those whose time has begun and is not over, the one that began last.
  vehicle_registration: {
    ...ofVehicle(sql`vehicle_ownership_details`, sql`vehicle_id_code`),
    path: 'vehicle-ownerships',
    where: ({ today }) => sql`r.deleted_at is null and ${RUN} and ${isPresent(sql`r`, today)}
      and not exists (select from vehicle_ownership_details n where n.customer_id = r.customer_id
        and n.vehicle_id_code = r.vehicle_id_code and n.deleted_at is null and ${isPresent(sql`n`, today)}
        and (coalesce(n.valid_from, '-infinity'), n.vehicle_ownership_unique_id)
          > (coalesce(r.valid_from, '-infinity'), r.vehicle_ownership_unique_id))`,
    id: sql`r.vehicle_ownership_unique_id`,
    expiresOn: sql`r.registration_upto`,
    label: sql`coalesce(r.registration_number, r.vehicle_ownership_id)`,
  },
};

function isPresent(owner: SQL, today: Day): SQL {
  return sql`coalesce(${owner}.valid_from <= ${today}::date, true) and coalesce(${owner}.valid_to >= ${today}::date, true)`;
}
