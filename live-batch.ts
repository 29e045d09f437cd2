/** From a batch as ingestion has committed it to one as the live hub takes it: the two do not know each other. */
import type { LiveBatch } from './api/live/wire.ts';
import type { Committed } from './ingest/ingest.ts';

/** Committed rows as the live hub takes them. */
export function toLiveBatch({ positions, events, eventIds }: Committed): LiveBatch {
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
