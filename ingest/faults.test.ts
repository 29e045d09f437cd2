import pg from 'pg';
import t from 'tap';
import { faultOf, isConnectionError } from './faults.ts';

function serverError(code: string, constraint?: string): Error {
  const error = new pg.DatabaseError('refused', 0, 'error');
  return Object.assign(error, { code, severity: 'ERROR', constraint });
}

const rows: [string, Error, string, boolean][] = [
  ['unique violation', serverError('23505', 'pk'), 'duplicate', false],
  ['check violation', serverError('23514', 'positive'), 'data', false],
  ['no partition for the row', serverError('23514'), 'transient', false],
  ['foreign key', serverError('23503', 'fk'), 'data', false],
  ['numeric out of range', serverError('22003'), 'data', false],
  ['invalid byte sequence', serverError('22021'), 'data', false],
  ['lock not available', serverError('55P03'), 'transient', false],
  ['statement timeout', serverError('57014'), 'transient', false],
  ['deadlock', serverError('40P01'), 'transient', false],
  ['disk full', serverError('53100'), 'transient', false],
  ['undefined column: ours, not the data', serverError('42703'), 'transient', false],
  ['terminated by an administrator', serverError('57P01'), 'transient', true],
  ['connection failure', serverError('08006'), 'transient', true],
  ['refused', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'transient', true],
  ['reset', Object.assign(new Error('read'), { code: 'EPIPE' }), 'transient', true],
  ['no answer', new Error('Query read timeout'), 'transient', true],
];

t.test('errors of the database, and what they mean for the batch', (t) => {
  for (const [name, error, fault, gone] of rows) {
    t.equal(faultOf(error), fault, name);
    t.equal(isConnectionError(error), gone, `${name}: connection`);
  }
  t.end();
});
