import t from 'tap';
import { problemBody } from './problem.ts';
import { toFieldError, toProblem, UpdateRefused } from './problem-mapping.ts';

const failed = (code: string, more: object = {}) =>
  new Error('Failed query: select secret', {
    cause: Object.assign(new Error('inside'), { code, ...more }),
  });

const referenced = (more: object) =>
  failed('23503', {
    message: 'update or delete on table "invoice" violates foreign key constraint "x" on table "y"',
    ...more,
  });

t.test('errors of the database', (t) => {
  const key = (columns: string, rest: string) => ({ detail: `Key (${columns})=(1, x) ${rest}` });
  const rows: [string, unknown, number, string[]][] = [
    [
      'taken',
      failed('23505', key('customer_id, unit_number', 'already exists.')),
      409,
      ['/unit_number'],
    ],
    ['taken, nothing told', failed('23505'), 409, []],
    [
      'taken, told by the key alone',
      failed('23505', {
        table: 'equipment',
        constraint: 'equipment_customer_id_unit_number_key',
      }),
      409,
      ['/unit_number'],
    ],
    [
      'taken, by a key whose name was cut',
      failed('23505', { table: 'equipment', constraint: 'equipment_customer_id_unit_num_key' }),
      409,
      [],
    ],
    [
      'no such, told by the key alone',
      failed('23503', {
        table: 'equipment',
        constraint: 'equipment_customer_id_account_id_fkey',
        detail: 'Key is not present in table "account".',
      }),
      422,
      ['/account_id'],
    ],
    [
      'overlapping',
      failed('23P01', key('equipment_id, tstzrange(from, to)', 'conflicts with existing key')),
      409,
      [],
    ],
    [
      'no such',
      failed('23503', key('customer_id, account_id', 'is not present in table "account".')),
      422,
      ['/account_id'],
    ],
    [
      'in use',
      failed('23503', key('customer_id, account_id', 'is still referenced from table "x".')),
      409,
      [],
    ],
    [
      'in use by what is changed, told by the key alone',
      new UpdateRefused(
        referenced({
          table: 'invoice_items',
          constraint: 'invoice_items_customer_id_invoice_id_currency_code_fkey',
          detail: 'Key is still referenced from table "invoice_items".',
        }),
      ),
      409,
      ['/currency_code'],
    ],
    [
      'in use by what is changed',
      new UpdateRefused(
        referenced(
          key('customer_id, id, account_id', 'is still referenced from table "payment_invoice".'),
        ),
      ),
      409,
      ['/account_id'],
    ],
    [
      'in use by what is deleted',
      referenced(
        key('customer_id, id, account_id', 'is still referenced from table "payment_invoice".'),
      ),
      409,
      [],
    ],
    ['check', failed('23514'), 422, []],
    [
      'finer than its currency',
      failed('23514', { table: 'invoice', constraint: 'invoice_total_amount_check_decimals' }),
      422,
      ['/total_amount'],
    ],
    [
      'a check whose name begins with no column',
      failed('23514', { table: 'invoice', constraint: 'invoice_sums_check' }),
      422,
      [],
    ],
    ['the audit trail', failed('23514', { table: 'activity_feed', constraint: 'x' }), 500, []],
    [
      'within the audit trail',
      failed('22003', { where: 'PL/pgSQL function audit_write() line 9 at SQL statement' }),
      500,
      [],
    ],
    ['the audit trail, for now', failed('40P01', { table: 'activity_feed' }), 503, []],
    ['not null', failed('23502'), 422, []],
    ['out of range', failed('22003'), 422, []],
    ['statement timeout', failed('57014'), 503, []],
    ['lock timeout', failed('55P03'), 503, []],
    ['deadlock', failed('40P01'), 503, []],
    ['shutting down', failed('57P01'), 503, []],
    ['too many connections', failed('53300'), 503, []],
    ['refused', Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }), 503, []],
    ['no connection free', new Error('timeout exceeded when trying to connect'), 503, []],
    ['cut off', new Error('Connection terminated unexpectedly'), 503, []],
    ['syntax', failed('42601'), 500, []],
    ['no grant', failed('42501'), 500, []],
    [
      'row-level security',
      Object.assign(new Error('violates row-level security policy'), { code: '42501' }),
      403,
      [],
    ],
    ['not committed', Object.assign(new Error('x'), { code: 'TENANT_NOT_COMMITTED' }), 500, []],
    ['anything', new TypeError('x is not a function'), 500, []],
    ['no error at all', 'thrown text', 500, []],
  ];
  for (const [name, error, status, pointers] of rows) {
    const problem = toProblem(error);
    t.equal(problem.status, status, name);
    t.same(
      problem.errors.map(({ pointer }) => pointer),
      pointers,
      name,
    );
    const told = JSON.stringify(problemBody(problem, '/v1/x?token=secret', 'id'));
    t.notMatch(told, /secret|inside|Failed query|table|not a function/, name);
    if (status === 503) t.match(problem.headers, { 'retry-after': /^\d+$/ }, name);
    if (status >= 500) t.equal(problem.cause, error, `${name}: kept for the log`);
  }
  t.end();
});

t.test('errors of Fastify and plugins', (t) => {
  const thrown = (statusCode: number, code = 'FST_ERR_X') =>
    Object.assign(new Error('inside'), { statusCode, code });
  t.match(toProblem(thrown(415, 'FST_ERR_CTP_INVALID_MEDIA_TYPE')), { status: 415 });
  t.match(toProblem(thrown(413)), { status: 413, message: /cannot be served/ });
  t.match(toProblem(thrown(418)), { status: 400 });
  t.match(toProblem(thrown(500)), { status: 500 });
  t.end();
});

t.test('errors of schemas name field and reason', (t) => {
  const of = (keyword: string, params: object, instancePath = '') =>
    toFieldError(
      {
        keyword,
        params: params as Record<string, unknown>,
        instancePath,
        schemaPath: '',
        message: 'm',
      },
      'body',
    );
  t.same(of('additionalProperties', { additionalProperty: 'a/b~c' }, '/x'), {
    in: 'body',
    pointer: '/x/a~1b~0c',
    detail: 'is not a field that is known here',
  });
  t.match(of('format', { format: 'date-time' }), { detail: /^must be an instant with its zone/ });
  t.match(of('format', { format: 'date' }), { detail: 'm' });
  t.match(of('required', { missingProperty: 'name' }), { pointer: '/name', detail: 'is required' });
  t.match(of('enum', { allowedValues: ['a', null] }, '/k'), {
    pointer: '/k',
    detail: 'must be one of "a", null',
  });
  t.match(of('maximum', {}, '/n'), { pointer: '/n', detail: 'm' });
  t.end();
});
