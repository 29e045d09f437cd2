import t from 'tap';
import type { Figure } from '../report.ts';
import { benchEdits, EDITS_PARAMS_TINY } from './edits.ts';

function figuresOf(seed: number): Figure[] {
  const figures: Figure[] = [];
  benchEdits({ ...EDITS_PARAMS_TINY, seed }, (figure) => figures.push(figure));
  return figures;
}

t.test('the batch after an edit sees it, and the same seed does the same', (t) => {
  // An edit that is not seen, or changes nothing, fails in the bench itself.
  const first = figuresOf(1);
  for (const { metric, value } of first) t.ok(value > 0, metric);
  const hashOf = ([figure]: Figure[]) => figure!.params['hash'];
  t.match(hashOf(first), /^[0-9a-f]{12}$/);
  t.equal(hashOf(figuresOf(1)), hashOf(first));
  t.not(hashOf(figuresOf(2)), hashOf(first));
  t.end();
});
