import t from 'tap';
import { convertValues } from './query-values.ts';

const schema = {
  properties: {
    id: { type: 'integer' },
    factor: { type: 'number' },
    flag: { type: 'boolean' },
    text: { type: 'string' },
  },
};

t.test('text in exactly the right form is converted, anything else is left to be refused', (t) => {
  const rows: [string, unknown, unknown][] = [
    ['id', '12', 12],
    ['id', '-3', -3],
    ['id', '', ''],
    ['id', ' 1', ' 1'],
    ['id', '1.5', '1.5'],
    ['id', '0x10', '0x10'],
    ['id', '1e3', '1e3'],
    ['id', '12abc', '12abc'],
    ['id', '99999999999999999999', '99999999999999999999'],
    ['id', ['1', '2'], ['1', '2']],
    ['factor', '-1.25', -1.25],
    ['factor', '.5', '.5'],
    ['factor', 'NaN', 'NaN'],
    ['flag', 'true', true],
    ['flag', 'false', false],
    ['flag', '1', '1'],
    ['text', '12', '12'],
    ['other', '12', '12'],
    ['constructor', '12', '12'],
  ];
  for (const [name, text, value] of rows) {
    t.strictSame(
      convertValues({ [name]: text }, schema),
      { [name]: value },
      `${name}=${String(text)}`,
    );
  }
  t.equal(convertValues('x', schema), 'x');
  t.same(convertValues({ id: '1' }, undefined), { id: '1' });
  t.end();
});
