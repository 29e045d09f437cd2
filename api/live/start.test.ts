import t, { type Test } from 'tap';
import { createHub } from './hub.ts';
import { startLive, type LiveOptions } from './start.ts';

const missing = () => Promise.resolve({ ok: false, reason: 'no binary for this machine' } as const);

function options(
  t: Test,
  transport: LiveOptions['transport'],
  warnings: unknown[] = [],
): LiveOptions {
  const log = { info() {}, error() {}, warn: (fields: object) => void warnings.push(fields) };
  const hub = createHub({
    authenticate: () => Promise.resolve({ ok: false, detail: '' }),
    loadEvents: () => Promise.resolve([]),
    log,
    limits: { closeGraceMs: 50 },
  });
  t.teardown(() => hub.shutdown());
  const path = '/v1/live';
  return { hub, host: '127.0.0.1', port: 0, path, allowedOrigins: [], transport, log };
}

t.test('auto takes the addon where it loads', async (t) => {
  const live = await startLive(options(t, 'auto'));
  t.equal(live.transport, 'uws');
  await live.close();
});

t.test('auto falls back to ws, and says why', async (t) => {
  const warnings: unknown[] = [];
  const live = await startLive(options(t, 'auto', warnings), missing);
  t.equal(live.transport, 'ws');
  t.same(warnings, [{ reason: 'no binary for this machine' }]);
  await live.close();
});

t.test('the addon asked for by name is not replaced', async (t) => {
  await t.rejects(startLive(options(t, 'uws'), missing), { code: 'LIVE_UWS_UNAVAILABLE' });
});

t.test('a taken port is no reason to fall back', async (t) => {
  const live = await startLive(options(t, 'ws'));
  const again = { ...options(t, 'auto'), port: live.port };
  await t.rejects(startLive(again), { code: 'EADDRINUSE' });
  await live.close();
});
