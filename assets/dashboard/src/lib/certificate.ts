// The certificate of a deletion as a file.
import { fileName, saveText } from './download.ts';
import type { DeletionCertificate } from './types.ts';

export function saveCertificate(certificate: DeletionCertificate): void {
  const name = `deletion-certificate-${fileName(certificate.name)}.json`;
  saveText(name, 'application/json', `${JSON.stringify(certificate, null, 2)}\n`);
}
