/**
 * What attachments hang on: one declaration a kind. Whoever may see a row of such a table may see the files that are
 * linked to it, and nobody else may.
 */
import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import {
  equipment,
  equipmentHasAttachment,
  ers,
  ersHasAttachment,
  masterAgreement,
  masterAgreementHasAttachment,
  scheduleAgreement,
  scheduleAgreementHasAttachment,
  workorder,
  workorderHasAttachment,
} from '../../db/schema.ts';
import type { Permission, Right } from '../auth/permissions.ts';

export interface AttachmentParent {
  /** The name of the table. */
  readonly type: string;
  /** Under `/v1/`. */
  readonly path: string;
  /** In words, with its article. */
  readonly noun: string;
  /** Of the documentation's operations: `listEquipmentAttachments`. */
  readonly operation: string;
  readonly table: PgTable;
  /** Has the columns `customer_id`, `attachment_id`, and the parent's key under its own name. */
  readonly link: PgTable;
  /** The parent's primary key. */
  readonly key: string;
  /** Reading asks for `<right>:read`, adding and deleting for `<right>:write`. */
  readonly right: Right;
}

export const ATTACHMENT_PARENTS: readonly AttachmentParent[] = [
  {
    type: 'equipment',
    path: 'equipment',
    noun: 'a unit',
    operation: 'Equipment',
    table: equipment,
    link: equipmentHasAttachment,
    key: 'equipment_id',
    right: 'equipment',
  },
  {
    type: 'ers',
    path: 'ers',
    noun: 'a roadside call',
    operation: 'Ers',
    table: ers,
    link: ersHasAttachment,
    key: 'ers_id',
    right: 'ers',
  },
  {
    type: 'master_agreement',
    path: 'master-agreements',
    noun: 'a master agreement',
    operation: 'MasterAgreement',
    table: masterAgreement,
    link: masterAgreementHasAttachment,
    key: 'master_agreement_id',
    right: 'agreement',
  },
  {
    type: 'schedule_agreement',
    path: 'schedule-agreements',
    noun: 'a schedule agreement',
    operation: 'ScheduleAgreement',
    table: scheduleAgreement,
    link: scheduleAgreementHasAttachment,
    key: 'schedule_agreement_id',
    right: 'agreement',
  },
  {
    type: 'workorder',
    path: 'workorders',
    noun: 'a work order',
    operation: 'Workorder',
    table: workorder,
    link: workorderHasAttachment,
    key: 'workorder_id',
    right: 'workorder',
  },
];

/** What one may do with an attachment. */
export type AttachmentAction = 'read' | 'write';

/** The right of a parent's table. */
export function rightTo(parent: AttachmentParent, action: AttachmentAction): Permission {
  return `${parent.right}:${action}` as Permission;
}

/** A column by its name; undefined when the table has none. */
export function columnOf(table: PgTable, name: string): PgColumn | undefined {
  return getTableColumns(table)[name];
}
