/** Who is told of alerts and fences, and in which words. */
import { boolean, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { id, identity, nameText, recordColumns } from './columns.ts';

/** Words of messages; `alert_id` null is for every rule without words of its own. */
export const alertTemplates = pgTable('alert_templates', {
  template_id: identity().primaryKey(),
  customer_id: id().notNull(),
  template_name: text().notNull(),
  alert_id: id(),
  delivery_id: id().notNull(),
  locale: text().notNull().default('en'),
  subject_template: nameText(),
  body_template: text().notNull(),
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  ...recordColumns(),
});

/** Users, or others by e-mail or phone, and what they are told of. */
export const alertRecipients = pgTable('alert_recipients', {
  recipient_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  user_id: id(),
  recipient_name: text(),
  email: text(),
  phone: text(),
  delivery_id: id().notNull(),
  telematic_alert_id: id(),
  alert_category_lookup_id: id(),
  severity_min: text({ enum: ['info', 'warning', 'critical'] })
    .notNull()
    .default('info'),
  digest: text({ enum: ['immediate', 'every_15_minutes', 'hourly', 'daily'] })
    .notNull()
    .default('immediate'),
  locale: text().notNull().default('en'),
  status: text({ enum: ['active', 'disabled'] })
    .notNull()
    .default('active'),
  ...recordColumns(),
});

/** Which fences and transitions a recipient is told of. */
export const geofenceAlertConfig = pgTable('geofence_alert_config', {
  alert_config_id: identity().primaryKey(),
  customer_id: id().notNull(),
  account_id: id(),
  recipient_id: id().notNull(),
  geofence_id: id(),
  event_types: text({ enum: ['enter', 'exit', 'dwell', 'cross'] })
    .array()
    .notNull()
    .default(['enter', 'exit']),
  alert_enabled: boolean().notNull().default(true),
  cooldown_s: integer().notNull().default(0),
  ...recordColumns(),
});
