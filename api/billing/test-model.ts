/**
 * For the tests: billing once more, as plainly as can be, in whole smallest units (bigint). It says of each command whether
 * it is taken, and what everything is afterwards.
 */

export interface ModelLine {
  readonly id: number;
  amount: bigint;
  tax: bigint;
}

export interface ModelInvoice {
  readonly id: number;
  readonly currency: string;
  readonly account: number;
  readonly isMemo: boolean;
  readonly credited: ModelInvoice | null;
  readonly lines: ModelLine[];
  readonly discount: bigint;
  /** Days after the day on which the model begins. */
  readonly dueIn: number;
  isIssued: boolean;
  isVoid: boolean;
  isDisputed: boolean;
  /** Of a memo, what its credit went to is counted by {@link usedOf}. */
  applied: bigint;
}

export interface ModelPayment {
  readonly id: number;
  readonly currency: string;
  readonly account: number;
  readonly amount: bigint;
  readonly memo: ModelInvoice | null;
  /** Days before the model begins. */
  readonly age: number;
  status: 'pending' | 'settled' | 'failed' | 'reversed';
  applied: bigint;
}

export interface ModelApplication {
  readonly id: number;
  readonly payment: ModelPayment;
  readonly invoice: ModelInvoice;
  /** What of it is not taken back. */
  rest: bigint;
}

export const DIGITS: Readonly<Record<string, number>> = { USD: 2, JPY: 0, KWD: 3 };

/** Divides, rounding half away from zero. */
export function divideRounded(value: bigint, by: bigint): bigint {
  const half = value < 0n ? -(by / 2n) : by / 2n;
  return (value + half) / by;
}

/** Quantity in thousandths times rate in ten thousandths, in smallest units of so many digits. */
export function productOf(quantity: bigint, rate: bigint, digits: number): bigint {
  return divideRounded(quantity * rate, 10n ** BigInt(7 - digits));
}

/** Of an amount, so many ten thousandths of a percent. */
export function taxOf(amount: bigint, rate: bigint): bigint {
  return divideRounded(amount * rate, 1_000_000n);
}

/** The text of a number of so many decimals. */
export function textOf(value: bigint, decimals: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const part = decimals === 0 ? '' : `.${digits.slice(-decimals)}`;
  return `${value < 0n ? '-' : ''}${whole}${part}`;
}

/** A number that was told, in units of so many decimals; throws where it is finer. */
export function unitsOf(told: unknown, decimals: number): bigint {
  const [whole, part = ''] = String(told).split('.') as [string, string?];
  if (part.length > decimals) throw new Error(`${String(told)} is finer than ${decimals} decimals`);
  return BigInt(whole + part.padEnd(decimals, '0'));
}

export function subtotalOf({ lines }: ModelInvoice): bigint {
  return lines.reduce((sum, line) => sum + line.amount, 0n);
}

export function taxTotalOf({ lines }: ModelInvoice): bigint {
  return lines.reduce((sum, line) => sum + line.tax, 0n);
}

export function totalOf(invoice: ModelInvoice): bigint {
  return subtotalOf(invoice) - invoice.discount + taxTotalOf(invoice);
}

export class Model {
  readonly invoices: ModelInvoice[] = [];
  readonly payments: ModelPayment[] = [];
  readonly applications: ModelApplication[] = [];
  /** Days since it began. */
  day = 0;

  /** What of an invoice is paid; of a memo, what its credit went to. */
  appliedOf(invoice: ModelInvoice): bigint {
    if (!invoice.isMemo) return invoice.applied;
    return this.payments.find(({ memo }) => memo === invoice)?.applied ?? 0n;
  }

  balanceOf(invoice: ModelInvoice): bigint {
    return invoice.isVoid ? 0n : totalOf(invoice) - this.appliedOf(invoice);
  }

  statusOf(invoice: ModelInvoice): string {
    const applied = this.appliedOf(invoice);
    if (invoice.isVoid) return 'void';
    if (!invoice.isIssued) return 'draft';
    if (invoice.isDisputed) return 'disputed';
    if (applied >= totalOf(invoice)) return 'paid';
    if (this.day > invoice.dueIn && !invoice.isMemo) return 'overdue';
    return applied > 0n ? 'partial' : 'open';
  }

  leftOf({ status, amount, applied }: ModelPayment): bigint {
    return status === 'failed' || status === 'reversed' ? 0n : amount - applied;
  }

  /** Whether an invoice can be paid at all. */
  isOwed({ isIssued, isVoid, isMemo }: ModelInvoice): boolean {
    return isIssued && !isVoid && !isMemo;
  }

  mayApply(payment: ModelPayment, invoice: ModelInvoice, amount: bigint): boolean {
    return (
      payment.status === 'settled' &&
      payment.currency === invoice.currency &&
      this.isOwed(invoice) &&
      amount <= this.balanceOf(invoice) &&
      amount <= this.leftOf(payment)
    );
  }

  apply(payment: ModelPayment, invoice: ModelInvoice, amount: bigint, id: number): void {
    payment.applied += amount;
    invoice.applied += amount;
    this.applications.push({ id, payment, invoice, rest: amount });
  }

  takeBack(application: ModelApplication, amount: bigint): void {
    application.rest -= amount;
    application.payment.applied -= amount;
    application.invoice.applied -= amount;
  }

  /** What would be paid by itself, in order: payments oldest first, invoices longest due first. */
  oldest(
    payments: readonly ModelPayment[],
    accounts: readonly number[],
  ): { payment: ModelPayment; invoice: ModelInvoice; amount: bigint }[] {
    const [first] = payments;
    if (first === undefined) return [];
    const owed = this.invoices
      .filter((one) => accounts.includes(one.account) && one.currency === first.currency)
      .filter((one) => this.isOwed(one) && !one.isDisputed && this.balanceOf(one) > 0n)
      .sort((a, b) => a.dueIn - b.dueIn || a.id - b.id);
    const found = [];
    const left = new Map(payments.map((one) => [one, this.leftOf(one)]));
    const order = [...payments].sort((a, b) => b.age - a.age || a.id - b.id);
    for (const invoice of owed) {
      let balance = this.balanceOf(invoice);
      for (const payment of order) {
        const rest = left.get(payment)!;
        const amount = rest < balance ? rest : balance;
        if (amount <= 0n) continue;
        left.set(payment, rest - amount);
        balance -= amount;
        found.push({ payment, invoice, amount });
      }
    }
    return found;
  }

  /** What credit memos of an invoice give back. */
  givenBack(invoice: ModelInvoice): bigint {
    return this.invoices
      .filter(({ credited, isIssued, isVoid }) => credited === invoice && isIssued && !isVoid)
      .reduce((sum, memo) => sum + totalOf(memo), 0n);
  }
}
