/**
 * A vehicle as it is made and shown in one piece: its header and what hangs on it. The fields are those of the resources
 * of the single tables; a new column of theirs is a new field here.
 */
import { Type, type TObject, type TSchema } from 'typebox';
import { CATALOG } from '../catalog/catalog.ts';
import { SignInByName } from '../iot-devices/schemas.ts';
import { bulkBodyOf, bulkResultOf } from '../resources/bulk.ts';
import type { Row } from '../resources/define.ts';
import type { Resource } from '../resources/resource.ts';
import { closed, Id, Name, nullable } from '../schemas.ts';

/** Owners, permits, services, frequencies and documents that one request may make, each. */
export const PART_ROWS_MAX = 50;
/** Vehicles of one bulk request. */
export const BULK_VEHICLES_MAX = 200;
/** Rows that hang on all vehicles of one bulk request: so many are written in the time that a request has. */
export const BULK_PART_ROWS_MAX = 2_000;
/** Rows of each part that are shown with a vehicle, the newest; the lists of their own have all. */
export const PART_ROWS_SHOWN_MAX = 500;

/** What hangs on a header: where it stands in a body, and which of its columns names the vehicle. */
export interface Part {
  readonly name: PartName;
  readonly resource: Resource;
  readonly vehicleKey: string;
}

const PART_TABLES = {
  ownerships: ['vehicle_ownership_details', 'vehicle_id_code'],
  insurance: ['vehicle_basic_information_itm', 'vehicle_id_code_hdr'],
  permits: ['vehicle_special_permit', 'vehicle_id_code_hdr'],
  service_frequencies: ['service_frequency_master', 'vehicle_id'],
  services: ['vehicle_maintenance_service_history', 'vehicle_id_code'],
  documents: ['vehicle_documents', 'vehicle_id_code'],
} as const;

export type PartName = keyof typeof PART_TABLES;

export const HEADER = resourceOf('vehicle_basic_information_hdr');

/** In the order in which they are written: services ask frequencies when they come again, and documents name services. */
export const PARTS: readonly Part[] = Object.entries(PART_TABLES).map(
  ([name, [table, vehicleKey]]) => ({
    name: name as PartName,
    resource: resourceOf(table),
    vehicleKey,
  }),
);

function resourceOf(table: string): Resource {
  const resource = CATALOG.get(table);
  if (!resource) throw new Error(`there is no resource of ${table}`);
  return resource;
}

/** The insurance is one row, and all others are lists. */
export const isList = (name: PartName): boolean => name !== 'insurance';

/** A body that has been validated. Other fields are the header's. */
export interface VehicleBody extends Row {
  readonly account_id?: number | null;
  readonly equipment_id?: number | null;
  readonly vin_chassis_no: string;
  readonly gps_tracker_imei_number: string;
  readonly unit_number?: string;
  readonly tracker?: TrackerBody;
  readonly ownerships?: readonly Row[];
  readonly insurance?: Row | null;
  readonly permits?: readonly Row[];
  readonly services?: readonly Row[];
  readonly service_frequencies?: readonly Row[];
  readonly documents?: readonly Row[];
}

/** How the tracker signs in. */
export interface TrackerBody {
  readonly device_type?: string;
  readonly sign_in_by_name?: boolean;
  readonly issue_token?: boolean;
}

const TrackerFields = closed({
  device_type: Type.Optional(Name),
  sign_in_by_name: Type.Optional(SignInByName),
  issue_token: Type.Optional(
    Type.Boolean({ description: 'Whether it gets a token, which the answer holds this once.' }),
  ),
});

const ServiceIndex = Type.Integer({
  minimum: 0,
  maximum: PART_ROWS_MAX - 1,
  description: 'Which of the `services` of this request it belongs to, from 0.',
});

/** Of a service of another vehicle, a document cannot be; those of this one have no numbers yet. */
const NOT_OF_NEW_DOCUMENTS = ['vehicle_maintenance_id'];

function partSchema({ name, resource, vehicleKey }: Part): TSchema {
  const left = [vehicleKey, ...(name === 'documents' ? NOT_OF_NEW_DOCUMENTS : [])];
  const item = closed({
    ...fieldsWithout(resource.createSchema, left),
    ...(name === 'documents' && { service_index: Type.Optional(nullable(ServiceIndex)) }),
  });
  return Type.Optional(
    isList(name) ? Type.Array(item, { maxItems: PART_ROWS_MAX }) : nullable(item),
  );
}

/** The body. */
export const VehicleCreate = closed(
  {
    ...fieldsWithout(HEADER.createSchema, []),
    unit_number: Type.Optional(
      Type.Unsafe<string>({
        ...Name,
        description: 'Of its unit; its present registration, or else its number, when left out.',
      }),
    ),
    tracker: Type.Optional(TrackerFields),
    ...Object.fromEntries(PARTS.map((part) => [part.name, partSchema(part)])),
  },
  { title: 'VehicleWithPartsCreate', examples: [exampleBody()] },
);

/** A vehicle with all that hangs on it. */
const whole = {
  header: HEADER.shownSchema,
  equipment_id: nullable(Id),
  iot_device_id: nullable(Id),
  ...Object.fromEntries(
    PARTS.map(({ name, resource }) => [
      name,
      isList(name) ? Type.Array(resource.shownSchema) : nullable(resource.shownSchema),
    ]),
  ),
};
export const VehicleWhole = Type.Object(whole, {
  title: 'VehicleWithParts',
  examples: [exampleWhole()],
});

const Token = Type.Unsafe<string | null>({
  type: ['string', 'null'],
  description: 'The token of its tracker, this once; null: none was asked for, or it was told.',
});
export const VehicleMade = Type.Object(
  { ...whole, token: Token },
  { title: 'VehicleWithPartsMade', examples: [{ ...exampleWhole(), token: null }] },
);

export const VehicleBulkBody = bulkBodyOf(VehicleCreate, BULK_VEHICLES_MAX);
export const VehicleBulkResult = bulkResultOf('VehicleBulkResult', {
  token: Type.Optional(Token),
});

/** The properties of a closed object, but for some. */
function fieldsWithout(schema: TSchema, names: readonly string[]): Record<string, TSchema> {
  const { properties } = schema as TObject;
  return Object.fromEntries(Object.entries(properties).filter(([name]) => !names.includes(name)));
}

// The examples of the single tables, put together.
function exampleBody(): Row {
  const header = exampleOf(HEADER, ['account_id', 'equipment_id']);
  const parts = PARTS.map(({ name, resource, vehicleKey }) => {
    const row = exampleOf(resource, [vehicleKey, 'attachment_id', ...NOT_OF_NEW_DOCUMENTS]);
    return [name, isList(name) ? [row] : row];
  });
  return { ...header, tracker: { issue_token: true }, ...(Object.fromEntries(parts) as Row) };
}

function exampleOf({ createSchema }: Resource, left: readonly string[]): Row {
  const { examples = [] } = createSchema as { examples?: readonly Row[] };
  return Object.fromEntries(
    Object.entries(examples[0] ?? {}).filter(([name]) => !left.includes(name)),
  );
}

function exampleWhole(): Row {
  const shownOf = ({ shownSchema }: Resource) =>
    (shownSchema as { examples?: readonly Row[] }).examples![0];
  const parts = PARTS.map(({ name, resource }) => {
    const row = shownOf(resource);
    return [name, isList(name) ? [row] : row];
  });
  return {
    header: shownOf(HEADER),
    equipment_id: 1,
    iot_device_id: 1,
    ...(Object.fromEntries(parts) as Row),
  };
}
