/**
 * The server's certificate, its key and the authorities of devices, from files that may be renewed while it runs. Knows
 * when they have changed and whether they can be used; refuses to know sockets.
 *
 * The contents are compared, not the times: renewing tools swap links, and keep times. States: `new` → (load) `loaded` →
 * (watch) `watching` → (stop) `stopped`. What cannot be used is logged once, and the last good one stays in force.
 */
import { X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { CERTIFICATE_FILE_BYTES_MAX, CERTIFICATE_READ_EVERY_MS } from './limits.ts';
import type { TransportLogger } from './transport.ts';

/** PEM files. */
export interface CertificateFiles {
  /** The server's certificate and those between it and its authority. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Authorities of devices; `null`: devices show no certificates. */
  readonly clientCaFile: string | null;
}

export class Certificates {
  readonly #files: CertificateFiles;
  readonly #log: TransportLogger;
  readonly #everyMs: number;
  readonly #renewed: ((options: SecureContextOptions) => void)[] = [];
  #contents = '';
  #complaint = '';
  #loading: Promise<SecureContextOptions> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;

  constructor(
    files: CertificateFiles,
    log: TransportLogger,
    everyMs: number = CERTIFICATE_READ_EVERY_MS,
  ) {
    this.#files = files;
    this.#log = log;
    this.#everyMs = everyMs;
  }

  /** Whether devices may show certificates. */
  get asksClients(): boolean {
    return this.#files.clientCaFile !== null;
  }

  /** Reads the files, once for all who ask; rejects, naming the file, when they cannot be used. */
  load(): Promise<SecureContextOptions> {
    this.#loading ??= this.#read().then(({ options, contents }) => {
      this.#contents = contents;
      return options;
    });
    return this.#loading;
  }

  /** Looks at the files again and again from now on; `renewed` is called with what is new and can be used. */
  watch(renewed: (options: SecureContextOptions) => void): void {
    this.#renewed.push(renewed);
    if (this.#timer === null) this.#schedule();
  }

  /** Looks no more. */
  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#isStopped) return;
    this.#timer = setTimeout(
      () => void this.#look().finally(() => this.#schedule()),
      this.#everyMs,
    );
  }

  async #look(): Promise<void> {
    try {
      const { options, contents } = await this.#read();
      this.#complaint = '';
      if (contents === this.#contents || this.#isStopped) return;
      this.#contents = contents;
      for (const renewed of this.#renewed) renewed(options);
      this.#log.info(described(options), 'the TLS certificate was renewed');
    } catch (error) {
      const complaint = String(error);
      if (complaint === this.#complaint) return;
      this.#complaint = complaint;
      this.#log.error(
        { err: error },
        'the renewed TLS certificate cannot be used; the old one stays',
      );
    }
  }

  async #read(): Promise<{ options: SecureContextOptions; contents: string }> {
    const { certFile, keyFile, clientCaFile } = this.#files;
    const cert = await readPem(certFile);
    const key = await readPem(keyFile);
    const ca = clientCaFile === null ? null : await readPem(clientCaFile);
    const options: SecureContextOptions = {
      cert,
      key,
      ...(ca !== null && { ca }),
      minVersion: 'TLSv1.2',
    };
    try {
      createSecureContext(options);
      new X509Certificate(cert);
      if (ca !== null) new X509Certificate(ca);
    } catch (error) {
      const files = [certFile, keyFile, ...(clientCaFile === null ? [] : [clientCaFile])];
      const why = (error as Error).message;
      throw new Error(`${files.join(', ')} cannot be used together: ${why}`, { cause: error });
    }
    return { options, contents: [cert, key, ca ?? ''].join('\0') };
  }
}

async function readPem(path: string): Promise<string> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > CERTIFICATE_FILE_BYTES_MAX) throw new Error(`${path} is too large for a PEM file`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function described({ cert }: SecureContextOptions): object {
  const { subject, validTo } = new X509Certificate(cert as string);
  return { subject, validTo };
}
