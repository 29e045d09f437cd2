import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { certificateNames } from './certificate-names.ts';
import { createTestAuthority, type CertificateWish } from './test-certificates.ts';

const authority = createTestAuthority();

const rows: [string, CertificateWish, string[]][] = [
  ['nothing', {}, []],
  ['a common name', { commonName: 'dev-1' }, ['dev-1']],
  ['a DNS name', { dnsNames: ['dev-1.example'] }, ['dev-1.example']],
  ['a URI', { uris: ['urn:dev:mac:0024'] }, ['urn:dev:mac:0024']],
  ['an address is no name', { commonName: 'a', addresses: ['10.0.0.1'] }, ['a']],
  [
    'all of them, each once, the common name first',
    { commonName: 'dev-1', dnsNames: ['dev-2', 'dev-1'], uris: ['urn:3'] },
    ['dev-1', 'dev-2', 'urn:3'],
  ],
  // What reads like the text form's own commas must not become a second name.
  ['a comma within', { uris: ['http://a/, DNS:dev-1'] }, ['http://a/, DNS:dev-1']],
  ['a comma within a DNS name', { dnsNames: ['a, DNS:dev-1', 'b'] }, ['a, DNS:dev-1', 'b']],
  ['a quote within', { dnsNames: ['"dev-1"', 'b'] }, ['"dev-1"', 'b']],
  ['a line break within', { commonName: 'dev-9\nCN=dev-1' }, ['dev-9\nCN=dev-1']],
  ['NUL within', { dnsNames: ['dev-1\0.evil'] }, ['dev-1\0.evil']],
];

for (const [what, wish, names] of rows) {
  t.test(what, (t) => {
    const { cert } = authority.issue(wish);
    // As the peer's certificate is shown by a TLS socket.
    t.same(certificateNames(new X509Certificate(cert).toLegacyObject()), names);
    t.end();
  });
}

t.test('a certificate with very many names', (t) => {
  const dnsNames = Array.from({ length: 1_000 }, (_, i) => `dev-${i}`);
  const { cert } = authority.issue({ dnsNames });
  t.same(certificateNames(new X509Certificate(cert).toLegacyObject()), dnsNames.slice(0, 32));
  t.end();
});
