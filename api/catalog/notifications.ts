import { Type } from 'typebox';
import { alertRecipients, alertTemplates, geofenceAlertConfig } from '../../db/schema.ts';
import type { ResourceDeclaration } from '../resources/define.ts';
import { oneOf } from '../schemas.ts';
import { Locale, Prose } from './service-fields.ts';

const templates: ResourceDeclaration = {
  table: alertTemplates,
  path: 'alert-templates',
  noun: 'alert template',
  nouns: 'alert templates',
  tag: 'notifications',
  right: 'notification',
  long: ['body_template'],
  fields: { body_template: Prose, locale: Locale },
  references: { alert_id: 'telematic_alert' },
  example: {
    template_name: 'Reefer too warm, e-mail',
    alert_id: 1,
    delivery_id: 1,
    locale: 'en',
    subject_template: '{{unit_number}} is too warm',
    body_template: '{{unit_number}} measured {{value}} °C at {{time}}; the limit is {{limit}} °C.',
    status: 'active',
  },
};

const recipients: ResourceDeclaration = {
  table: alertRecipients,
  path: 'alert-recipients',
  noun: 'alert recipient',
  nouns: 'alert recipients',
  tag: 'notifications',
  right: 'notification',
  fields: {
    email: Type.String({ format: 'email', maxLength: 254, pattern: '^[^A-Z]*$' }),
    phone: Type.String({ pattern: '^\\+[1-9][0-9]{6,14}$', description: 'E.164.' }),
    locale: Locale,
  },
  example: {
    account_id: 1,
    user_id: 1,
    recipient_name: 'Night desk',
    email: 'night.desk@example.com',
    phone: '+14025550190',
    delivery_id: 1,
    telematic_alert_id: 1,
    alert_category_lookup_id: 1,
    severity_min: 'warning',
    digest: 'immediate',
    locale: 'en',
    status: 'active',
  },
};

const fenceConfigs: ResourceDeclaration = {
  table: geofenceAlertConfig,
  path: 'geofence-alert-configs',
  noun: 'geofence alert configuration',
  nouns: 'geofence alert configurations',
  tag: 'notifications',
  right: 'notification',
  fields: {
    event_types: Type.Array(oneOf(['enter', 'exit', 'dwell', 'cross']), {
      minItems: 1,
      maxItems: 4,
      uniqueItems: true,
    }),
    cooldown_s: Type.Integer({ minimum: 0, maximum: 86_400, description: 'Seconds.' }),
  },
  example: {
    account_id: 1,
    recipient_id: 1,
    geofence_id: 1,
    event_types: ['enter', 'exit'],
    alert_enabled: true,
    cooldown_s: 900,
  },
};

export const notificationsResources: readonly ResourceDeclaration[] = [
  templates,
  recipients,
  fenceConfigs,
];
