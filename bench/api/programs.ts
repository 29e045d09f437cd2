/**
 * The programs of this bench, each a process of its own: started with `fork`, given one order after the other over its
 * channel, ended with that channel. Knows how they are spoken to; refuses to know what they do.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Program {
  readonly pid: number;
  /** What the program answers to the order; rejects when it fails or ends. */
  ask<T>(order: object): Promise<T>;
  /** Resolves once the process is gone. */
  stop(): Promise<void>;
}

type Answer = { readonly answer: unknown } | { readonly failed: string };

/** Starts the file of this name beside this one; `nodeArgs` go to Node itself. */
export function startProgram(name: string, nodeArgs: readonly string[] = []): Program {
  const child = fork(join(import.meta.dirname, `${name}.js`), {
    execArgv: [...nodeArgs],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  return {
    pid: child.pid!,
    async ask<T>(order: object) {
      child.send(order);
      const answered = once(child, 'message') as Promise<[Answer]>;
      const ended = exited.then(() => {
        throw new Error(`${name} ended`);
      });
      const [answer] = await Promise.race([answered, ended]);
      if ('failed' in answer) throw new Error(`${name}: ${answer.failed}`);
      return answer.answer as T;
    },
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

/** The program's side: answers every order, and ends after `close` when the bench has gone. */
export function takeOrders<Order>(
  take: (order: Order) => Promise<unknown>,
  close: () => Promise<unknown> = () => Promise.resolve(),
): void {
  process.on('message', (order: Order) => {
    take(order).then(
      (answer) => process.send!({ answer } satisfies Answer),
      (error: unknown) => process.send!({ failed: String(error) } satisfies Answer),
    );
  });
  process.on('disconnect', () => {
    void close().finally(() => process.exit());
  });
}
