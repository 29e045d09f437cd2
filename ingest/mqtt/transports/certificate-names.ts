/**
 * The names that a certificate gives its owner: common names, DNS names and URIs. Refuses to know whom they name, and
 * whether anybody vouches for them.
 */
import type { PeerCertificate } from 'node:tls';
import { CERTIFICATE_NAMES_MAX } from './limits.ts';

/** The names, each once, the common name first; further ones than CERTIFICATE_NAMES_MAX are left out. */
export function certificateNames(certificate: PeerCertificate): string[] {
  // The types know one common name; a subject with several has a list.
  const commonName: unknown = certificate.subject?.CN;
  const common = Array.isArray(commonName) ? (commonName as unknown[]) : [commonName];
  const names = [...common, ...alternativeNames(certificate.subjectaltname ?? '')];
  const found = new Set(names.filter((name) => typeof name === 'string' && name !== ''));
  return [...(found as Set<string>)].slice(0, CERTIFICATE_NAMES_MAX);
}

/**
 * DNS names and URIs in Node's text form: `DNS:a, URI:"b, with a comma"`, where what could be mistaken for the form itself
 * is a JSON string. Taking it apart at commas would let one name pass for two.
 */
function alternativeNames(text: string): string[] {
  const found: string[] = [];
  const entry = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/y;
  for (let match = entry.exec(text); match !== null; match = entry.exec(text)) {
    const [whole, kind, value] = match;
    if (whole === '') break;
    if (kind === 'DNS' || kind === 'URI')
      found.push(value!.startsWith('"') ? unquoted(value!) : value!);
  }
  return found;
}

function unquoted(json: string): string {
  try {
    return String(JSON.parse(json));
  } catch {
    return '';
  }
}
