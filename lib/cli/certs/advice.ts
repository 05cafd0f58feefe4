/** What `noctule certs` prints for people to paste: the listener, and the commands of clients. */

import { X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { namesOf } from '../../transport/client-certificate.ts'
import { AUTHORITY, type CertificateFolder, SERVER } from './folder.ts'

const DAY_CHARACTERS = 10

/** 2027-03-01 */
export function dayOf(at: number): string {
  return new Date(at).toISOString().slice(0, DAY_CHARACTERS)
}

export function listenerLines(folder: CertificateFolder): string {
  return `listeners:
  - type: tls
    host: 0.0.0.0
    port: 8883
    keyFile: ${resolve(folder.keyFile(SERVER))}
    certFile: ${resolve(folder.certificateFile(SERVER))}
    caFile: ${resolve(folder.certificateFile(AUTHORITY))}
    crlFile: ${resolve(folder.revocationFile)}
    requestClientCertificate: required
    userNameFromCertificate: commonName`
}

/** One for each of the usual clients. */
export function clientCommands(folder: CertificateFolder, name: string): string {
  const host = hostOf(folder.readCertificate(SERVER))
  const files = `--cafile ${folder.certificateFile(AUTHORITY)} --cert ${folder.certificateFile(name)} --key ${folder.keyFile(name)}`
  return `  mosquitto_pub -h ${host} -p 8883 ${files} -t hello/world -m 'Hi there'
  noctule pub -h ${host} -p 8883 ${files} -t hello/world -m 'Hi there'`
}

/** The first name that the server's certificate is made out to. */
function hostOf(certificate: string): string {
  const { subjectAltName = '', subject } = new X509Certificate(certificate)
  const [address] = /(?<=IP Address:)[^,]+/.exec(subjectAltName) ?? []
  return namesOf(subjectAltName).dnsNames[0] ?? address ?? subject.replace('CN=', '')
}
