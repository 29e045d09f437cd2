/** A device as it is shown by the routes beside those of the resource: with the same fields, of the same declaration. */
import { Type, type TObject } from 'typebox';
import { CATALOG } from '../catalog/catalog.ts';
import type { Row } from '../resources/define.ts';
import { getRow, type Work } from '../resources/store.ts';

/** The resource. */
export const DEVICE = CATALOG.get('iot_device')!;

export const DeviceWithToken = Type.Object({
  ...(DEVICE.shownSchema as TObject).properties,
  token: Type.String({ description: 'The token itself, this once.' }),
});

export const ClaimedDevice = Type.Object({
  ...(DEVICE.shownSchema as TObject).properties,
  token: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: 'Its token, this once; null where it signs in by name.',
  }),
});

/** Throws 404. */
export function showDevice(work: Work, id: number): Promise<Row> {
  return getRow(work, DEVICE, id);
}
