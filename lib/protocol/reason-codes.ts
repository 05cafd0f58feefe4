/** The reason codes of MQTT 5.0 (section 2.4) and the return codes of a 3.x CONNACK. */

export const ReasonCode = {
  Success: 0x00,
  GrantedQos1: 0x01,
  GrantedQos2: 0x02,
  DisconnectWithWill: 0x04,
  NoMatchingSubscribers: 0x10,
  NoSubscriptionExisted: 0x11,
  ContinueAuthentication: 0x18,
  ReAuthenticate: 0x19,
  UnspecifiedError: 0x80,
  MalformedPacket: 0x81,
  ProtocolError: 0x82,
  ImplementationSpecificError: 0x83,
  UnsupportedProtocolVersion: 0x84,
  ClientIdentifierNotValid: 0x85,
  BadUserNameOrPassword: 0x86,
  NotAuthorized: 0x87,
  ServerUnavailable: 0x88,
  ServerBusy: 0x89,
  Banned: 0x8a,
  ServerShuttingDown: 0x8b,
  BadAuthenticationMethod: 0x8c,
  KeepAliveTimeout: 0x8d,
  SessionTakenOver: 0x8e,
  TopicFilterInvalid: 0x8f,
  TopicNameInvalid: 0x90,
  PacketIdentifierInUse: 0x91,
  PacketIdentifierNotFound: 0x92,
  ReceiveMaximumExceeded: 0x93,
  TopicAliasInvalid: 0x94,
  PacketTooLarge: 0x95,
  MessageRateTooHigh: 0x96,
  QuotaExceeded: 0x97,
  AdministrativeAction: 0x98,
  PayloadFormatInvalid: 0x99,
  RetainNotSupported: 0x9a,
  QosNotSupported: 0x9b,
  UseAnotherServer: 0x9c,
  ServerMoved: 0x9d,
  SharedSubscriptionsNotSupported: 0x9e,
  ConnectionRateExceeded: 0x9f,
  MaximumConnectTime: 0xa0,
  SubscriptionIdentifiersNotSupported: 0xa1,
  WildcardSubscriptionsNotSupported: 0xa2,
} as const
export type ReasonCode = (typeof ReasonCode)[keyof typeof ReasonCode]

type Carrier =
  | 'connack'
  | 'puback'
  | 'pubrec'
  | 'pubrel'
  | 'pubcomp'
  | 'suback'
  | 'unsuback'
  | 'disconnect'
  | 'auth'

/** Which reason codes a packet may carry, from either side (the tables of chapter 3). */
export const reasonCodesOf: Readonly<Record<Carrier, ReadonlySet<number>>> = {
  connack: new Set([
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
  ]),
  puback: new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  pubrec: new Set([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  pubrel: new Set([0x00, 0x92]),
  pubcomp: new Set([0x00, 0x92]),
  suback: new Set([0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
  unsuback: new Set([0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
  disconnect: new Set([
    0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95,
    0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ]),
  auth: new Set([0x00, 0x18, 0x19]),
}

/** The reason code of a refusal, as `carrier` may say it: 0x87 where it must not say what was decided. */
export function refusalFor(carrier: Carrier, decided: number | undefined): number {
  const isSayable = decided !== undefined && decided >= 0x80 && reasonCodesOf[carrier].has(decided)
  return isSayable ? decided : ReasonCode.NotAuthorized
}

/** The reason codes a client may put into its DISCONNECT (section 3.14.2.1, column "Sent by"). */
export const disconnectReasonCodesOfClients: ReadonlySet<number> = new Set([
  0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
])

const names = new Map<number, string>(
  Object.entries(ReasonCode).map(([name, code]) => [
    code,
    name.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, ' ').toLowerCase(),
  ]),
)

/** Returns "session taken over" for 0x8e; undefined for what is no reason code. */
export function reasonCodeName(code: number): string | undefined {
  return names.get(code)
}

/** Says whether the code sends the client elsewhere, so that a Server Reference may go with it. */
export function isRedirect(code: number): boolean {
  return code === ReasonCode.UseAnotherServer || code === ReasonCode.ServerMoved
}

/** Returns "0x8e session taken over" for 0x8e: the form used in every log line. */
export function describeReasonCode(code: number): string {
  const hexadecimal = `0x${code.toString(16).padStart(2, '0')}`
  const name = names.get(code)
  return name === undefined ? hexadecimal : `${hexadecimal} ${name}`
}

/** The return code of a 3.1 or 3.1.1 CONNACK that says the same as an MQTT 5.0 reason code. */
export function connectReturnCode(code: number): number {
  switch (code) {
    case ReasonCode.Success:
      return 0
    case ReasonCode.UnsupportedProtocolVersion:
      return 1
    case ReasonCode.ClientIdentifierNotValid:
      return 2
    case ReasonCode.BadUserNameOrPassword:
      return 4
    case ReasonCode.NotAuthorized:
    case ReasonCode.Banned:
    case ReasonCode.BadAuthenticationMethod:
      return 5
    default:
      return 3
  }
}
