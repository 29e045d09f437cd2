/** What has been opened is closed, last first, whatever happened. As the tests' own `t.teardown`, where there is no test. */

export interface Tearable {
  teardown(work: () => Promise<unknown>): unknown;
}

export class Cleanup implements Tearable {
  private readonly works: (() => Promise<unknown>)[] = [];

  teardown(work: () => Promise<unknown>): void {
    this.works.push(work);
  }

  /** Does all of it, also when some of it fails; rejects with the first failure. */
  async run(): Promise<void> {
    const failures: unknown[] = [];
    for (let work = this.works.pop(); work !== undefined; work = this.works.pop()) {
      await work().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
  }
}
