/** A small fleet for tests, and an ingestion to take it in: one customer, units `U1`… with devices `dev-1`…, whose tokens are `token-1`… */
import { createHash } from 'node:crypto';
import pg from 'pg';
import { Registry as PromRegistry } from 'prom-client';
import { valueTypes } from '../db/pools.ts';
import type { DoorsConfig } from './doors.ts';
import type { IngestOptions } from './ingest.ts';

/** Doors for tests: MQTT on a free port, and nothing else. */
export function testDoors(): DoorsConfig {
  return {
    mqtt: {
      host: '127.0.0.1',
      port: 0,
      tlsPort: null,
      webSocketPort: null,
      webSocketTlsPort: null,
      tls: null,
      packetBytesMax: 262_144,
      connectionsMax: 1_000,
      tenantConnectionsMax: 1_000,
      deviceMessagesPerSMax: 1_000_000,
      tenantMessagesPerSMax: 10_000_000,
      sessionExpirySMax: 3_600,
    },
    broker: null,
    teltonika: null,
  };
}

/** An ingestion for tests: nothing is told to anybody, and the limits are never met. */
export function testIngestOptions(connectionString: string): IngestOptions {
  const nobody = (): void => undefined;
  return {
    connectionString,
    doors: testDoors(),
    partitionCount: 2,
    batchRowsMax: 5_000,
    lingerMs: 5,
    queueRowsMax: 100_000,
    queueBytesMax: 100_000_000,
    rejectRowsMax: 1_000,
    deviceEventRowsMax: 1_000,
    knockingRowsMax: 1_000,
    prometheus: new PromRegistry(),
    log: { info: nobody, warn: nobody, error: nobody },
    onCommitted: nobody,
    onLeadershipLost: nobody,
  };
}

export interface TestFleet {
  readonly customerId: number;
  readonly accountId: number;
  /** `equipment_has_iot_device_id` of each unit, in order. */
  readonly deviceIds: readonly number[];
  readonly equipmentIds: readonly number[];
  readonly gatewayToken: string;
}

export function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Seeds `unitCount` units for a new customer; names carry `prefix`, so that two fleets can share a database. */
export async function seedTestFleet(
  ownerUrl: string,
  unitCount: number,
  prefix = '',
): Promise<TestFleet> {
  const client = new pg.Client({ connectionString: ownerUrl, types: valueTypes });
  await client.connect();
  try {
    const one = async (sql: string, values: unknown[]): Promise<number> =>
      Object.values((await client.query<Record<string, number>>(sql, values)).rows[0]!)[0]!;
    const customerId = await one(
      'insert into customer (customer_name) values ($1) returning customer_id',
      [`Test ${prefix}`],
    );
    const accountId = await one(
      `insert into account (customer_id, account_name, account_number, account_type)
         values ($1, 'Main', 'A1', 'NATIONAL') returning account_id`,
      [customerId],
    );
    const deviceIds: number[] = [];
    const equipmentIds: number[] = [];
    for (let n = 1; n <= unitCount; n++) {
      const equipmentId = await one(
        `insert into equipment (customer_id, account_id, unit_number) values ($1, $2, $3) returning equipment_id`,
        [customerId, accountId, `${prefix}U${n}`],
      );
      const iotDeviceId = await one(
        `insert into iot_device (customer_id, device_identifier, device_type, token_hash)
           values ($1, $2, 'tracker', $3) returning iot_device_id`,
        [customerId, `${prefix}dev-${n}`, sha256(`${prefix}token-${n}`)],
      );
      equipmentIds.push(equipmentId);
      deviceIds.push(
        await one(
          `insert into equipment_has_iot_device (customer_id, equipment_id, iot_device_id)
             values ($1, $2, $3) returning equipment_has_iot_device_id`,
          [customerId, equipmentId, iotDeviceId],
        ),
      );
    }
    const gatewayToken = `${prefix}gateway-token`;
    await client.query(
      `insert into gateway_token (customer_id, name, token_hash) values ($1, 'gateway', $2)`,
      [customerId, sha256(gatewayToken)],
    );
    return { customerId, accountId, deviceIds, equipmentIds, gatewayToken };
  } finally {
    await client.end();
  }
}
