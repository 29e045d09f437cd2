/**
 * Children of a test end with it, however it ends: a test that takes too long is killed and tears nothing down. For each
 * child a shell waits on a pipe that only the test holds open, and kills the child when the pipe closes.
 */
import { spawn, type ChildProcess } from 'node:child_process';

/** Kills the child when this process is gone; with `isGroup`, all of the process group that it leads. */
export function endWithTest(child: ChildProcess, isGroup: boolean): void {
  if (child.pid === undefined) return;
  const target = isGroup ? `-${child.pid}` : String(child.pid);
  const watchdog = spawn('sh', ['-c', `read -r _; kill -9 ${target}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  watchdog.unref();
  child.once('close', () => watchdog.kill('SIGKILL'));
}
