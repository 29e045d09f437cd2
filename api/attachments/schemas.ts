/** What attachments look like in the API. */
import { Type } from 'typebox';
import { closed, Id, Instant, Name, nullable, oneOf, storedWord, Text } from '../schemas.ts';

export const CATEGORIES = [
  'agreement',
  'inspection',
  'invoice',
  'insurance',
  'manual',
  'permit',
  'photo',
  'registration',
  'repair',
  'other',
] as const;

const ExpirationDate = Type.String({
  format: 'date',
  description: 'The last day, in the time zone of the customer, on which the file is given out.',
});

const row = {
  attachment_id: Id,
  account_id: nullable(Id),
  name: Type.String(),
  mime_type: Type.String({ description: 'As found in the bytes.' }),
  document_category_type: storedWord(CATEGORIES),
  description: Type.String(),
  url: Type.String({ description: 'Where it is downloaded.' }),
  size_bytes: Type.Integer(),
  sha256: Type.String({ description: 'Hexadecimal.' }),
  expiration_date: nullable(ExpirationDate),
  is_expired: Type.Boolean({ description: 'The file is not given out any more.' }),
  days_left: nullable(
    Type.Integer({
      description:
        'Until `expiration_date`: 0 on that day, below zero after it; null: it never expires.',
    }),
  ),
  version: Type.Integer(),
  created_at: Instant,
  updated_at: Instant,
  created_by: nullable(Id),
};

export const Attachment = Type.Object(row);

export const AttachmentWithParents = Type.Object({
  ...row,
  parents: Type.Array(Type.Object({ parent_type: Type.String(), parent_id: Id }), {
    description: 'What it is linked to, of what the caller may see.',
  }),
});

export const Uploaded = Type.Object({ data: Type.Array(Attachment) });

const fields = {
  name: Type.Optional(Name),
  document_category_type: Type.Optional(oneOf(CATEGORIES)),
  description: Type.Optional(Text),
  expiration_date: Type.Optional(ExpirationDate),
};

/** The fields of an upload beside its files. */
export const UploadFields = closed(fields);

export interface UploadFieldValues {
  readonly name?: string;
  readonly document_category_type?: (typeof CATEGORIES)[number];
  readonly description?: string;
  readonly expiration_date?: string;
}

/** The whole form, for the documentation. The files are read as a stream, which a schema cannot check. */
export const UploadForm = closed(
  {
    ...fields,
    file: Type.Array(Type.String({ format: 'binary' }), {
      minItems: 1,
      description: 'A part of this name for each file, with a `filename`.',
    }),
  },
  {
    examples: [
      {
        file: ['certificate.pdf'],
        document_category_type: 'insurance',
        description: 'Cover note of the fleet policy',
        expiration_date: '2031-03-31',
      },
    ],
  },
);
