/**
 * What ingestion counts, as Prometheus metrics and as a small summary for people. Every refusal is counted under its
 * own reason.
 */
import { Counter, Gauge, Histogram, type Registry as PromRegistry } from 'prom-client';
import type { Evaluation } from '../engine/types.ts';
import { AckLatency } from './ack-latency.ts';
import type { Batch } from './batch.ts';
import type { Fault } from './faults.ts';
import type { Tally } from './tally.ts';

const LATENCY_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Totals since start, and the latency of what was acknowledged since the last summary. */
export interface IngestSummary {
  readonly fixes: number;
  readonly readings: number;
  readonly duplicates: number;
  readonly rejects: number;
  readonly events: number;
  readonly queuedRows: number;
  /** From arrival to commit; NaN when nothing was acknowledged. */
  readonly p99Ms: number;
}

/** What is read when metrics are asked for. */
export interface IngestGauges {
  readonly queuedRows: () => number;
  readonly queuedBytes: () => number;
  readonly connections: () => number;
  readonly devices: () => number;
  readonly fences: () => number;
  readonly rules: () => number;
}

/** What the doors hold, read when metrics are asked for. */
export interface DoorGauges {
  /** Sessions kept for MQTT clients that are away. */
  readonly awaySessions: () => number;
  readonly teltonikaConnections: () => number;
  /** Messages of the external broker that wait for their commit. */
  readonly brokerInFlight: () => number;
}

export class IngestMetrics {
  private readonly registry: PromRegistry;
  /** Counted by the message here, and told when metrics are asked for. */
  private readonly messages = new Map<string, number>();
  private mqttPublishes = 0;
  private mqttBytes = 0;
  private readonly rows: Counter<'kind' | 'outcome'>;
  private readonly rejects: Counter<'reason'>;
  private readonly ignored: Counter<'field'>;
  private readonly refusals: Counter<'source' | 'reason'>;
  private readonly failures: Counter<'fault'>;
  private readonly events: Counter<'type'>;
  private readonly late: Counter;
  private readonly visits: Counter<'change'>;
  private readonly latency: AckLatency;
  private readonly commitTime: Histogram;
  private readonly batchRows: Histogram;
  private readonly totals = { fixes: 0, readings: 0, duplicates: 0, rejects: 0, events: 0 };
  private readonly queuedRows: () => number;

  constructor(registry: PromRegistry, gauges: IngestGauges) {
    this.registry = registry;
    this.queuedRows = gauges.queuedRows;
    const registers = [registry];
    const counter = <T extends string>(name: string, help: string, labelNames: T[]): Counter<T> =>
      new Counter({ name, help, labelNames, registers });
    this.registerMessageCounters(registry);
    this.rows = counter('milepost_ingest_rows_total', 'Rows by what became of them', [
      'kind',
      'outcome',
    ]);
    this.rejects = counter(
      'milepost_ingest_rejects_total',
      'Records refused, kept in ingest_reject',
      ['reason'],
    );
    this.ignored = counter('milepost_ingest_ignored_fields_total', 'Optional fields left out', [
      'field',
    ]);
    this.refusals = counter('milepost_ingest_refused_total', 'Connections and requests refused', [
      'source',
      'reason',
    ]);
    this.failures = counter(
      'milepost_ingest_commit_failures_total',
      'Commits that failed and were tried again',
      ['fault'],
    );
    this.events = counter('milepost_engine_events_total', 'Events written to the feed', ['type']);
    this.late = counter(
      'milepost_engine_late_rows_total',
      'Rows stored without consequences, being late',
      [],
    );
    this.visits = counter(
      'milepost_engine_visit_changes_total',
      'Visits changed by late fixes, by what was done to them',
      ['change'],
    );
    this.latency = new AckLatency(registry);
    this.commitTime = new Histogram({
      name: 'milepost_ingest_commit_seconds',
      help: 'Evaluation and transaction of one batch',
      buckets: LATENCY_BUCKETS_S,
      registers,
    });
    this.batchRows = new Histogram({
      name: 'milepost_ingest_batch_rows',
      help: 'Rows of one batch',
      buckets: [1, 10, 50, 100, 500, 1000, 2500, 5000, 10_000],
      registers,
    });
    registerGauges(registry, gauges);
  }

  /** To be called once, when there are doors. */
  watchDoors(doors: DoorGauges): void {
    const gauge = gaugeMaker(this.registry);
    gauge('milepost_mqtt_away_sessions', 'Sessions of MQTT clients away', doors.awaySessions);
    gauge('milepost_teltonika_connections', 'Open connections', doors.teltonikaConnections);
    gauge('milepost_broker_in_flight', "The broker's messages not acked", doors.brokerInFlight);
  }

  message(source: string): void {
    this.messages.set(source, (this.messages.get(source) ?? 0) + 1);
  }

  mqttReceived(publishCount: number, byteCount: number): void {
    this.mqttPublishes += publishCount;
    this.mqttBytes += byteCount;
  }

  rejected(reason: string): void {
    this.totals.rejects++;
    this.rejects.inc({ reason });
  }

  ignoredField(field: string, count: number): void {
    this.ignored.inc({ field }, count);
  }

  /** Something was turned away at the door: nothing of it is kept. */
  refused(source: string, reason: string): void {
    this.refusals.inc({ source, reason });
  }

  commitFailed(fault: Fault): void {
    this.failures.inc({ fault });
  }

  /** A message was answered so long after it came. */
  acknowledged(ms: number): void {
    this.latency.observe(ms);
  }

  batchCommitted(tally: Tally, batch: Batch, ms: number): void {
    this.totals.fixes += tally.fixesStored;
    this.totals.readings += tally.readingsStored;
    this.totals.duplicates += tally.duplicates;
    this.rows.inc({ kind: 'fix', outcome: 'stored' }, tally.fixesStored);
    this.rows.inc({ kind: 'reading', outcome: 'stored' }, tally.readingsStored);
    this.rows.inc({ kind: 'event', outcome: 'stored' }, tally.eventsStored);
    this.rows.inc({ kind: 'any', outcome: 'duplicate' }, tally.duplicates);
    this.commitTime.observe(ms / 1000);
    tally.eachAgeMs(Date.now(), (ageMs) => this.latency.observe(ageMs));
    this.batchRows.observe(batch.fixes.count + batch.readings.count + batch.events.length);
  }

  evaluated(evaluation: Evaluation): void {
    this.late.inc(evaluation.lateCount);
    this.totals.events += evaluation.events.length;
    for (const event of evaluation.events) this.events.inc({ type: event.type });
  }

  /** Late fixes have changed so many visits. */
  visitsChanged(change: 'inserted' | 'revised' | 'retracted', count: number): void {
    this.visits.inc({ change }, count);
  }

  /** The totals; forgets the latencies it has summed up. */
  summary(): IngestSummary {
    const p99Ms = this.latency.takeP99Ms();
    return { ...this.totals, queuedRows: this.queuedRows(), p99Ms };
  }

  private registerMessageCounters(registry: PromRegistry): void {
    const registers = [registry];
    const { messages } = this;
    new Counter({
      name: 'milepost_ingest_messages_total',
      help: 'Messages taken in',
      labelNames: ['source'],
      registers,
      collect() {
        this.reset();
        for (const [source, count] of messages) this.inc({ source }, count);
      },
    });
    const total = (name: string, help: string, read: () => number): Counter =>
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(read());
        },
      });
    total('milepost_mqtt_publishes_total', 'PUBLISH packets taken in', () => this.mqttPublishes);
    total('milepost_mqtt_publish_bytes_total', 'Bytes of those packets', () => this.mqttBytes);
  }
}

type GaugeMaker = (name: string, help: string, read: () => number) => Gauge;

/** Gauges that are read when metrics are asked for. */
function gaugeMaker(registry: PromRegistry): GaugeMaker {
  const registers = [registry];
  return (name, help, read) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
}

function registerGauges(registry: PromRegistry, gauges: IngestGauges): void {
  const gauge = gaugeMaker(registry);
  gauge('milepost_ingest_queue_rows', 'Rows waiting for a batch', gauges.queuedRows);
  gauge('milepost_ingest_queue_bytes', 'Memory charged to waiting rows', gauges.queuedBytes);
  gauge('milepost_mqtt_connections', 'Open MQTT connections', gauges.connections);
  gauge('milepost_registry_devices', 'Devices that may speak', gauges.devices);
  gauge('milepost_engine_fences', 'Fences in force', gauges.fences);
  gauge('milepost_engine_rules', 'Alert rules in force', gauges.rules);
}
