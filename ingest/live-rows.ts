/** What was committed, in the names of columns: for whoever shows it at once and does not know ingestion. */
import type { Committed } from './ingest.ts';

/** Times in ISO 8601; null where a value was not reported. */
export function toLiveRows({ positions, events, eventIds }: Committed) {
  return {
    positions: positions.map((position) => ({
      customer_id: position.link.tenantId,
      account_id: position.link.accountId,
      equipment_id: position.link.equipmentId,
      unit_number: position.link.unitNumber,
      latitude: position.latDeg,
      longitude: position.lonDeg,
      speed: position.speedMps,
      heading_deg: position.headingDeg,
      motion_status: position.motionStatus,
      ignition: position.ignition,
      temperature: position.temperatureC,
      recorded_at: new Date(position.recordedMs).toISOString(),
    })),
    events: events.map((event, i) => ({
      customer_id: event.tenantId,
      activity_feed_id: eventIds[i]!,
      equipment_id: event.equipmentId,
      account_id: event.accountId,
      event_type: event.type,
      event_time: new Date(event.timeMs).toISOString(),
      latitude: Number.isNaN(event.latDeg) ? null : event.latDeg,
      longitude: Number.isNaN(event.lonDeg) ? null : event.lonDeg,
      geofence_id: event.fenceId,
      telematic_alert_id: event.ruleId,
      subject_name: event.subjectName,
      metric_code: event.metricCode,
      metric_value: event.metricValue,
      severity: event.severity,
      initial: event.initial,
    })),
  };
}
