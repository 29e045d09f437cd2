import t from 'tap';
import type { Fault } from '../faults.ts';
import type { Session } from './sessions.ts';
import { Sessions } from './sessions.ts';

const DEVICE = 1;

function createSession(sessions: Sessions, clientId: string, iotDeviceId = DEVICE) {
  const session: Session & { closedFor: string | null } = {
    clientId,
    closedFor: null,
    close(fault: Fault) {
      session.closedFor = fault.reason;
      sessions.leave(iotDeviceId, session);
    },
  };
  sessions.enter(iotDeviceId, session);
  return session;
}

t.test('the same client id of the same device takes over; of another device it does not', (t) => {
  const sessions = new Sessions(8);
  const first = createSession(sessions, 'c');
  const other = createSession(sessions, 'c', 2);
  const second = createSession(sessions, 'c');
  t.equal(first.closedFor, 'taken_over');
  t.equal(other.closedFor, null);
  t.equal(second.closedFor, null);
  const third = createSession(sessions, 'c');
  t.equal(second.closedFor, 'taken_over', 'the one that took over is the one in the table');
  t.equal(third.closedFor, null);
  t.end();
});

t.test('one connection too many closes the oldest', (t) => {
  const sessions = new Sessions(2);
  const [a, b, c] = ['a', 'b', 'c'].map((id) => createSession(sessions, id));
  t.equal(a!.closedFor, 'connections_per_device');
  const again = createSession(sessions, 'b');
  t.equal(b!.closedFor, 'taken_over');
  createSession(sessions, 'd');
  t.equal(c!.closedFor, 'connections_per_device', 'a takeover makes its session the newest');
  t.equal(again.closedFor, null);
  t.end();
});
