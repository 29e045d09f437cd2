import t from 'tap';
import type { Figure } from '../report.ts';
import { API_PARAMS_TINY, benchApi } from './bench.ts';

t.test('portal and bare server answer the same, and every scenario is measured', async (t) => {
  const figures: Figure[] = [];
  await benchApi(API_PARAMS_TINY, (figure) => figures.push(figure));
  const scenarios = new Set(figures.map(({ scenario }) => scenario));
  t.same(
    [...scenarios],
    [
      'api_fill',
      'api_list_invoices',
      'api_list_invoices_open',
      'api_list_invoices_overdue',
      'api_list_invoices_held',
      'api_list_equipment',
      'api_page_invoices',
      'api_get_invoice',
      'api_get_equipment',
      'api_search',
      'api_history',
      'api_export_csv',
      'api_export_xlsx',
    ],
  );
  for (const { scenario, metric, value } of figures) {
    // Of so little work, the time is below what Linux counts.
    const mayBeNone = metric.startsWith('resident_growth') || metric.endsWith('cpu_ms');
    t.ok(mayBeNone ? value >= 0 : value > 0, `${scenario} ${metric}: ${value}`);
  }
  t.match(figures[0]!.params['hash'], /^[0-9a-f]{12}$/);
});
