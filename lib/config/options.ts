/** The types of all options. Made from `schema.ts` by `npm run generate`: change them there. */

/** A listener of type tcp. */
export interface TcpListenerConfiguration {
  readonly type: 'tcp'
  /** Address to listen on; 0.0.0.0 or :: for all interfaces of the machine. Default: "127.0.0.1". */
  readonly host: string
  /** Port to listen on; 0: a free one, which the log names. Default: 1883. */
  readonly port: number
  /**
   * Whether each connection begins with a PROXY header, version 1 or 2, that tells the address
   * of the client. Default: false.
   */
  readonly proxyProtocol: boolean
  /** Addresses and ranges whose PROXY header or X-Forwarded-For is believed. Default: []. */
  readonly trustedProxies: readonly string[]
  /** How long PROXY header, TLS and WebSocket handshake may take together. Default: 10000. */
  readonly handshakeTimeoutMs: number
  /**
   * Name in logs and metrics; by default the type and the position in the list: tcp-0. Default:
   * unset.
   */
  readonly name: string
  /**
   * How many clients may be connected to this listener at once; 0: as many as
   * `connection.connectionsMax` allows. Default: 0.
   */
  readonly connectionsMax: number
  /**
   * Largest packet accepted here; by default what `connection.maximumPacketSizeBytes` says.
   * Default: unset.
   */
  readonly maximumPacketSizeBytes: number | undefined
  /**
   * Whether clients without user name may connect here; by default what
   * `security.allowAnonymous` says. Default: unset.
   */
  readonly allowAnonymous: boolean | undefined
  /**
   * How many levels a topic may have here; by default what `connection.topicLevelsMax` says.
   * Default: unset.
   */
  readonly topicLevelsMax: number | undefined
  /**
   * How long a topic may be here; by default what `connection.topicBytesMax` says. Default:
   * unset.
   */
  readonly topicBytesMax: number | undefined
  /**
   * How many QoS 1 and 2 messages a client may have under way here; by default what
   * `connection.receiveMaximum` says. Default: unset.
   */
  readonly receiveMaximum: number | undefined
  /**
   * Shortest Keep Alive here; by default what `connection.keepAliveMinSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMinSeconds: number | undefined
  /**
   * Longest Keep Alive here; by default what `connection.keepAliveMaxSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMaxSeconds: number | undefined
  /**
   * Longest time a session is kept after its client left here; by default what
   * `session.expiryMaxSeconds` says. Default: unset.
   */
  readonly sessionExpiryMaxSeconds: number | undefined
  /**
   * How many times all clients of this listener together may connect per second; 0: no limit.
   * Default: 0.
   */
  readonly connectionsPerSecond: number
  /**
   * How many messages all clients of this listener together may publish per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesInPerSecond: number
  /**
   * How many bytes all clients of this listener together may send per second; 0: no limit.
   * Default: 0.
   */
  readonly bytesInPerSecond: number
  /**
   * How many messages all clients of this listener together is sent per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesOutPerSecond: number
  /**
   * How many bytes of messages all clients of this listener together is sent per second; 0: no
   * limit. Default: 0.
   */
  readonly bytesOutPerSecond: number
  /**
   * How many retained messages of all clients of this listener together are kept; 0: no limit.
   * Default: 0.
   */
  readonly retainedMessagesMax: number
  /** How many bytes these may have together; 0: no limit. Default: 0. */
  readonly retainedBytesMax: number
  /**
   * How many subscriptions the sessions of all clients of this listener may have together; 0: no
   * limit. Default: 0.
   */
  readonly subscriptionsMax: number
  /** How many bytes may wait for the clients of this listener together; 0: no limit. Default: 0. */
  readonly queuedBytesMax: number
}

/** A listener of type tls. */
export interface TlsListenerConfiguration {
  readonly type: 'tls'
  /** Address to listen on; 0.0.0.0 or :: for all interfaces of the machine. Default: "127.0.0.1". */
  readonly host: string
  /** Port to listen on; 0: a free one, which the log names. Default: 8883. */
  readonly port: number
  /**
   * Private key of the server, PEM; required unless there is a pskFile. Read again when it
   * changes. Default: unset.
   */
  readonly keyFile: string | undefined
  /**
   * Certificate of the server and those between it and its authority, PEM. Read again when it
   * changes. Default: unset.
   */
  readonly certFile: string | undefined
  /**
   * Authorities that client certificates are checked against, PEM. Read again when it changes.
   * Default: unset.
   */
  readonly caFile: string | undefined
  /**
   * Revocation lists of these authorities, PEM: one of each, as without its list a certificate
   * is refused. Read again when it changes. Default: unset.
   */
  readonly crlFile: string | undefined
  /** Whether clients are asked for a certificate, and refused without one. Default: "no". */
  readonly requestClientCertificate: 'no' | 'optional' | 'required'
  /**
   * The field of a client certificate (Common Name, or a Subject Alternative Name) that is the
   * user name. Then no password is asked for, and what CONNECT says does not count. Default:
   * "no".
   */
  readonly userNameFromCertificate: 'no' | 'commonName' | 'dns' | 'email' | 'uri'
  /**
   * Pre-shared keys, a line each: IDENTITY:HEXKEY, as in a psk_file of Mosquitto. The identity
   * is the user name. No TLS newer than 1.2 on this listener then. Read again when it changes.
   * Default: unset.
   */
  readonly pskFile: string | undefined
  /** What clients are told to choose their identity by. Default: unset. */
  readonly pskHint: string | undefined
  /** Oldest version of TLS accepted. Default: "TLSv1.2". */
  readonly minTlsVersion: 'TLSv1.2' | 'TLSv1.3'
  /**
   * Whether each connection begins with a PROXY header, version 1 or 2, that tells the address
   * of the client. Default: false.
   */
  readonly proxyProtocol: boolean
  /** Addresses and ranges whose PROXY header or X-Forwarded-For is believed. Default: []. */
  readonly trustedProxies: readonly string[]
  /** How long PROXY header, TLS and WebSocket handshake may take together. Default: 10000. */
  readonly handshakeTimeoutMs: number
  /**
   * Name in logs and metrics; by default the type and the position in the list: tcp-0. Default:
   * unset.
   */
  readonly name: string
  /**
   * How many clients may be connected to this listener at once; 0: as many as
   * `connection.connectionsMax` allows. Default: 0.
   */
  readonly connectionsMax: number
  /**
   * Largest packet accepted here; by default what `connection.maximumPacketSizeBytes` says.
   * Default: unset.
   */
  readonly maximumPacketSizeBytes: number | undefined
  /**
   * Whether clients without user name may connect here; by default what
   * `security.allowAnonymous` says. Default: unset.
   */
  readonly allowAnonymous: boolean | undefined
  /**
   * How many levels a topic may have here; by default what `connection.topicLevelsMax` says.
   * Default: unset.
   */
  readonly topicLevelsMax: number | undefined
  /**
   * How long a topic may be here; by default what `connection.topicBytesMax` says. Default:
   * unset.
   */
  readonly topicBytesMax: number | undefined
  /**
   * How many QoS 1 and 2 messages a client may have under way here; by default what
   * `connection.receiveMaximum` says. Default: unset.
   */
  readonly receiveMaximum: number | undefined
  /**
   * Shortest Keep Alive here; by default what `connection.keepAliveMinSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMinSeconds: number | undefined
  /**
   * Longest Keep Alive here; by default what `connection.keepAliveMaxSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMaxSeconds: number | undefined
  /**
   * Longest time a session is kept after its client left here; by default what
   * `session.expiryMaxSeconds` says. Default: unset.
   */
  readonly sessionExpiryMaxSeconds: number | undefined
  /**
   * How many times all clients of this listener together may connect per second; 0: no limit.
   * Default: 0.
   */
  readonly connectionsPerSecond: number
  /**
   * How many messages all clients of this listener together may publish per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesInPerSecond: number
  /**
   * How many bytes all clients of this listener together may send per second; 0: no limit.
   * Default: 0.
   */
  readonly bytesInPerSecond: number
  /**
   * How many messages all clients of this listener together is sent per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesOutPerSecond: number
  /**
   * How many bytes of messages all clients of this listener together is sent per second; 0: no
   * limit. Default: 0.
   */
  readonly bytesOutPerSecond: number
  /**
   * How many retained messages of all clients of this listener together are kept; 0: no limit.
   * Default: 0.
   */
  readonly retainedMessagesMax: number
  /** How many bytes these may have together; 0: no limit. Default: 0. */
  readonly retainedBytesMax: number
  /**
   * How many subscriptions the sessions of all clients of this listener may have together; 0: no
   * limit. Default: 0.
   */
  readonly subscriptionsMax: number
  /** How many bytes may wait for the clients of this listener together; 0: no limit. Default: 0. */
  readonly queuedBytesMax: number
}

/** A listener of type ws. */
export interface WsListenerConfiguration {
  readonly type: 'ws'
  /** Address to listen on; 0.0.0.0 or :: for all interfaces of the machine. Default: "127.0.0.1". */
  readonly host: string
  /** Port to listen on; 0: a free one, which the log names. Default: 8083. */
  readonly port: number
  /** URL path of the WebSocket endpoint. Default: "/mqtt". */
  readonly path: string
  /**
   * Origins of the web pages that may connect, such as https://example.org; unset: all. Default:
   * unset.
   */
  readonly allowedOrigins: readonly string[] | undefined
  /**
   * Whether each connection begins with a PROXY header, version 1 or 2, that tells the address
   * of the client. Default: false.
   */
  readonly proxyProtocol: boolean
  /** Addresses and ranges whose PROXY header or X-Forwarded-For is believed. Default: []. */
  readonly trustedProxies: readonly string[]
  /** How long PROXY header, TLS and WebSocket handshake may take together. Default: 10000. */
  readonly handshakeTimeoutMs: number
  /**
   * Name in logs and metrics; by default the type and the position in the list: tcp-0. Default:
   * unset.
   */
  readonly name: string
  /**
   * How many clients may be connected to this listener at once; 0: as many as
   * `connection.connectionsMax` allows. Default: 0.
   */
  readonly connectionsMax: number
  /**
   * Largest packet accepted here; by default what `connection.maximumPacketSizeBytes` says.
   * Default: unset.
   */
  readonly maximumPacketSizeBytes: number | undefined
  /**
   * Whether clients without user name may connect here; by default what
   * `security.allowAnonymous` says. Default: unset.
   */
  readonly allowAnonymous: boolean | undefined
  /**
   * How many levels a topic may have here; by default what `connection.topicLevelsMax` says.
   * Default: unset.
   */
  readonly topicLevelsMax: number | undefined
  /**
   * How long a topic may be here; by default what `connection.topicBytesMax` says. Default:
   * unset.
   */
  readonly topicBytesMax: number | undefined
  /**
   * How many QoS 1 and 2 messages a client may have under way here; by default what
   * `connection.receiveMaximum` says. Default: unset.
   */
  readonly receiveMaximum: number | undefined
  /**
   * Shortest Keep Alive here; by default what `connection.keepAliveMinSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMinSeconds: number | undefined
  /**
   * Longest Keep Alive here; by default what `connection.keepAliveMaxSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMaxSeconds: number | undefined
  /**
   * Longest time a session is kept after its client left here; by default what
   * `session.expiryMaxSeconds` says. Default: unset.
   */
  readonly sessionExpiryMaxSeconds: number | undefined
  /**
   * How many times all clients of this listener together may connect per second; 0: no limit.
   * Default: 0.
   */
  readonly connectionsPerSecond: number
  /**
   * How many messages all clients of this listener together may publish per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesInPerSecond: number
  /**
   * How many bytes all clients of this listener together may send per second; 0: no limit.
   * Default: 0.
   */
  readonly bytesInPerSecond: number
  /**
   * How many messages all clients of this listener together is sent per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesOutPerSecond: number
  /**
   * How many bytes of messages all clients of this listener together is sent per second; 0: no
   * limit. Default: 0.
   */
  readonly bytesOutPerSecond: number
  /**
   * How many retained messages of all clients of this listener together are kept; 0: no limit.
   * Default: 0.
   */
  readonly retainedMessagesMax: number
  /** How many bytes these may have together; 0: no limit. Default: 0. */
  readonly retainedBytesMax: number
  /**
   * How many subscriptions the sessions of all clients of this listener may have together; 0: no
   * limit. Default: 0.
   */
  readonly subscriptionsMax: number
  /** How many bytes may wait for the clients of this listener together; 0: no limit. Default: 0. */
  readonly queuedBytesMax: number
}

/** A listener of type wss. */
export interface WssListenerConfiguration {
  readonly type: 'wss'
  /** Address to listen on; 0.0.0.0 or :: for all interfaces of the machine. Default: "127.0.0.1". */
  readonly host: string
  /** Port to listen on; 0: a free one, which the log names. Default: 8084. */
  readonly port: number
  /** URL path of the WebSocket endpoint. Default: "/mqtt". */
  readonly path: string
  /**
   * Origins of the web pages that may connect, such as https://example.org; unset: all. Default:
   * unset.
   */
  readonly allowedOrigins: readonly string[] | undefined
  /**
   * Private key of the server, PEM; required unless there is a pskFile. Read again when it
   * changes. Default: unset.
   */
  readonly keyFile: string | undefined
  /**
   * Certificate of the server and those between it and its authority, PEM. Read again when it
   * changes. Default: unset.
   */
  readonly certFile: string | undefined
  /**
   * Authorities that client certificates are checked against, PEM. Read again when it changes.
   * Default: unset.
   */
  readonly caFile: string | undefined
  /**
   * Revocation lists of these authorities, PEM: one of each, as without its list a certificate
   * is refused. Read again when it changes. Default: unset.
   */
  readonly crlFile: string | undefined
  /** Whether clients are asked for a certificate, and refused without one. Default: "no". */
  readonly requestClientCertificate: 'no' | 'optional' | 'required'
  /**
   * The field of a client certificate (Common Name, or a Subject Alternative Name) that is the
   * user name. Then no password is asked for, and what CONNECT says does not count. Default:
   * "no".
   */
  readonly userNameFromCertificate: 'no' | 'commonName' | 'dns' | 'email' | 'uri'
  /**
   * Pre-shared keys, a line each: IDENTITY:HEXKEY, as in a psk_file of Mosquitto. The identity
   * is the user name. No TLS newer than 1.2 on this listener then. Read again when it changes.
   * Default: unset.
   */
  readonly pskFile: string | undefined
  /** What clients are told to choose their identity by. Default: unset. */
  readonly pskHint: string | undefined
  /** Oldest version of TLS accepted. Default: "TLSv1.2". */
  readonly minTlsVersion: 'TLSv1.2' | 'TLSv1.3'
  /**
   * Whether each connection begins with a PROXY header, version 1 or 2, that tells the address
   * of the client. Default: false.
   */
  readonly proxyProtocol: boolean
  /** Addresses and ranges whose PROXY header or X-Forwarded-For is believed. Default: []. */
  readonly trustedProxies: readonly string[]
  /** How long PROXY header, TLS and WebSocket handshake may take together. Default: 10000. */
  readonly handshakeTimeoutMs: number
  /**
   * Name in logs and metrics; by default the type and the position in the list: tcp-0. Default:
   * unset.
   */
  readonly name: string
  /**
   * How many clients may be connected to this listener at once; 0: as many as
   * `connection.connectionsMax` allows. Default: 0.
   */
  readonly connectionsMax: number
  /**
   * Largest packet accepted here; by default what `connection.maximumPacketSizeBytes` says.
   * Default: unset.
   */
  readonly maximumPacketSizeBytes: number | undefined
  /**
   * Whether clients without user name may connect here; by default what
   * `security.allowAnonymous` says. Default: unset.
   */
  readonly allowAnonymous: boolean | undefined
  /**
   * How many levels a topic may have here; by default what `connection.topicLevelsMax` says.
   * Default: unset.
   */
  readonly topicLevelsMax: number | undefined
  /**
   * How long a topic may be here; by default what `connection.topicBytesMax` says. Default:
   * unset.
   */
  readonly topicBytesMax: number | undefined
  /**
   * How many QoS 1 and 2 messages a client may have under way here; by default what
   * `connection.receiveMaximum` says. Default: unset.
   */
  readonly receiveMaximum: number | undefined
  /**
   * Shortest Keep Alive here; by default what `connection.keepAliveMinSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMinSeconds: number | undefined
  /**
   * Longest Keep Alive here; by default what `connection.keepAliveMaxSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMaxSeconds: number | undefined
  /**
   * Longest time a session is kept after its client left here; by default what
   * `session.expiryMaxSeconds` says. Default: unset.
   */
  readonly sessionExpiryMaxSeconds: number | undefined
  /**
   * How many times all clients of this listener together may connect per second; 0: no limit.
   * Default: 0.
   */
  readonly connectionsPerSecond: number
  /**
   * How many messages all clients of this listener together may publish per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesInPerSecond: number
  /**
   * How many bytes all clients of this listener together may send per second; 0: no limit.
   * Default: 0.
   */
  readonly bytesInPerSecond: number
  /**
   * How many messages all clients of this listener together is sent per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesOutPerSecond: number
  /**
   * How many bytes of messages all clients of this listener together is sent per second; 0: no
   * limit. Default: 0.
   */
  readonly bytesOutPerSecond: number
  /**
   * How many retained messages of all clients of this listener together are kept; 0: no limit.
   * Default: 0.
   */
  readonly retainedMessagesMax: number
  /** How many bytes these may have together; 0: no limit. Default: 0. */
  readonly retainedBytesMax: number
  /**
   * How many subscriptions the sessions of all clients of this listener may have together; 0: no
   * limit. Default: 0.
   */
  readonly subscriptionsMax: number
  /** How many bytes may wait for the clients of this listener together; 0: no limit. Default: 0. */
  readonly queuedBytesMax: number
}

/** A listener of type unix. */
export interface UnixListenerConfiguration {
  readonly type: 'unix'
  /** File of the socket. Required. */
  readonly path: string
  /** Permissions of the socket file. Default: "660". */
  readonly mode: string
  /**
   * Name in logs and metrics; by default the type and the position in the list: tcp-0. Default:
   * unset.
   */
  readonly name: string
  /**
   * How many clients may be connected to this listener at once; 0: as many as
   * `connection.connectionsMax` allows. Default: 0.
   */
  readonly connectionsMax: number
  /**
   * Largest packet accepted here; by default what `connection.maximumPacketSizeBytes` says.
   * Default: unset.
   */
  readonly maximumPacketSizeBytes: number | undefined
  /**
   * Whether clients without user name may connect here; by default what
   * `security.allowAnonymous` says. Default: unset.
   */
  readonly allowAnonymous: boolean | undefined
  /**
   * How many levels a topic may have here; by default what `connection.topicLevelsMax` says.
   * Default: unset.
   */
  readonly topicLevelsMax: number | undefined
  /**
   * How long a topic may be here; by default what `connection.topicBytesMax` says. Default:
   * unset.
   */
  readonly topicBytesMax: number | undefined
  /**
   * How many QoS 1 and 2 messages a client may have under way here; by default what
   * `connection.receiveMaximum` says. Default: unset.
   */
  readonly receiveMaximum: number | undefined
  /**
   * Shortest Keep Alive here; by default what `connection.keepAliveMinSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMinSeconds: number | undefined
  /**
   * Longest Keep Alive here; by default what `connection.keepAliveMaxSeconds` says. Default:
   * unset.
   */
  readonly keepAliveMaxSeconds: number | undefined
  /**
   * Longest time a session is kept after its client left here; by default what
   * `session.expiryMaxSeconds` says. Default: unset.
   */
  readonly sessionExpiryMaxSeconds: number | undefined
  /**
   * How many times all clients of this listener together may connect per second; 0: no limit.
   * Default: 0.
   */
  readonly connectionsPerSecond: number
  /**
   * How many messages all clients of this listener together may publish per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesInPerSecond: number
  /**
   * How many bytes all clients of this listener together may send per second; 0: no limit.
   * Default: 0.
   */
  readonly bytesInPerSecond: number
  /**
   * How many messages all clients of this listener together is sent per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesOutPerSecond: number
  /**
   * How many bytes of messages all clients of this listener together is sent per second; 0: no
   * limit. Default: 0.
   */
  readonly bytesOutPerSecond: number
  /**
   * How many retained messages of all clients of this listener together are kept; 0: no limit.
   * Default: 0.
   */
  readonly retainedMessagesMax: number
  /** How many bytes these may have together; 0: no limit. Default: 0. */
  readonly retainedBytesMax: number
  /**
   * How many subscriptions the sessions of all clients of this listener may have together; 0: no
   * limit. Default: 0.
   */
  readonly subscriptionsMax: number
  /** How many bytes may wait for the clients of this listener together; 0: no limit. Default: 0. */
  readonly queuedBytesMax: number
}

export type ListenerConfiguration =
  | TcpListenerConfiguration
  | TlsListenerConfiguration
  | WsListenerConfiguration
  | WssListenerConfiguration
  | UnixListenerConfiguration

/** Who may connect and do what. */
export interface SecurityConfiguration {
  /**
   * Whether clients may connect without user name; unset: only on listeners that no other
   * machine can reach. Default: unset.
   */
  readonly allowAnonymous: boolean | undefined
  /**
   * What an MQTT 3.x client gets for a PUBLISH it may not make: an acknowledgement as if it had
   * worked, or the end of its connection. Default: "acknowledge".
   */
  readonly unauthorizedPublishV3: 'acknowledge' | 'disconnect'
  /**
   * Users and their hashed passwords: a file of `noctule user`, or of mosquitto_passwd. A
   * changed file is in force at once. Default: unset.
   */
  readonly passwordFile: string | undefined
  /**
   * Whether `noctule start` makes `security.passwordFile`, where there is none, with a user
   * admin whose random password it prints once. Default: false.
   */
  readonly firstAdministrator: boolean
  /**
   * How many passwords are compared at once, each by a thread; the process has four unless
   * UV_THREADPOOL_SIZE says otherwise, and files need some. Default: 2.
   */
  readonly hashingConcurrency: number
  /**
   * How many CONNECTs may wait for that, and how many for a token to be verified; what is beyond
   * is told that the broker is busy (0x89). Default: 256.
   */
  readonly hashingQueueMax: number
  /**
   * How many users that came with the right password may come again without being compared; 0:
   * none. Default: 10000.
   */
  readonly passwordCacheMax: number
  /** For how long they may. Default: 600. */
  readonly passwordCacheSeconds: number
  /**
   * Who may publish and subscribe to what: rules of ours, or an acl_file of Mosquitto. What no
   * rule allows is refused; a changed file is in force at once. Unset: everybody may everything.
   * Default: unset.
   */
  readonly aclFile: string | undefined
  /**
   * What happens to a subscription of whose messages the rules allow only some: it is refused,
   * or granted and the others are left out; auto: as the format of the file has it, ours
   * refuses, that of Mosquitto leaves out. Default: "auto".
   */
  readonly aclPartlyReadable: 'auto' | 'refuse' | 'filter'
  /**
   * Whether the log only tells what `security.aclFile` would refuse, and nothing is refused.
   * Default: false.
   */
  readonly aclDryRun: boolean
  /**
   * Users, roles and their rules that several brokers share: a Redis, as in `store.url`, that
   * `noctule user`, `noctule role` and `noctule acl` write to with --redis. A change is in force
   * at once on all of them. Default: unset.
   */
  readonly redisUrl: string | undefined
  /** What the names of their keys begin with: others may share the Redis. Default: "noctule:". */
  readonly redisKeyPrefix: string
  /**
   * How long a client waits for an answer about its account; then it is refused (0x88). Default:
   * 2000.
   */
  readonly redisTimeoutMs: number
  /**
   * How many accounts are kept in memory, those of connected clients among them: these go on
   * while Redis is away. Default: 100000.
   */
  readonly redisUsersMax: number
  /**
   * Authentication Methods by which MQTT 5.0 clients prove that they know their password without
   * sending it: for users that `noctule user add --scram` made. Default: [].
   */
  readonly scram: readonly string[]
  /**
   * How many days before a certificate, authority or revocation list of a listener ends the log
   * warns of it, once a day; 0: only when it has ended. Default: 30.
   */
  readonly certificateWarningDays: number
  readonly jwt: SecurityJwtConfiguration
  readonly http: SecurityHttpConfiguration
}

/** JSON Web Tokens as passwords, if a key is set. */
export interface SecurityJwtConfiguration {
  /**
   * Signatures that are accepted; has to be said. HS… need a secret, the others a public key:
   * one is never taken for the other. Default: [].
   */
  readonly algorithms: readonly string[]
  /**
   * Secret of HS256, HS384 and HS512, of at least 32, 48 and 64 bytes. A changed file is in
   * force at once. Default: unset.
   */
  readonly secretFile: string | undefined
  /** How the secret is written; the end of the line is not a part of it. Default: "text". */
  readonly secretEncoding: 'text' | 'base64'
  /**
   * Public keys or certificates of those who sign, PEM, one or several. A changed file is in
   * force at once. Default: unset.
   */
  readonly publicKeyFile: string | undefined
  /** A JSON Web Key Set. A changed file is in force at once. Default: unset. */
  readonly jwksFile: string | undefined
  /**
   * Where a JSON Web Key Set is fetched, and fetched again when a token names a key that is not
   * in it. Default: unset.
   */
  readonly jwksUrl: string | undefined
  /**
   * Authorities that the certificate of that server is checked against, PEM; unset: those that
   * Node knows. Default: unset.
   */
  readonly jwksCaFile: string | undefined
  /**
   * How old the set may become before it is fetched again; until that works, the old one stays
   * in force. Default: 600.
   */
  readonly jwksRefreshSeconds: number
  /** How long after a fetch there is no other one, whatever keys tokens name. Default: 30. */
  readonly jwksCooldownSeconds: number
  /** How long that server may take to answer. Default: 5000. */
  readonly jwksTimeoutMs: number
  /** Values of the claim `iss` that are accepted; empty: any, or none. Default: []. */
  readonly issuers: readonly string[]
  /** Values of the claim `aud`, one of which a token must have; empty: any, or none. Default: []. */
  readonly audiences: readonly string[]
  /** Whether a token must have an `exp`. Default: true. */
  readonly requireExpiry: boolean
  /** By how much the clock of who signs may differ from ours. Default: 5. */
  readonly clockToleranceSeconds: number
  /** Claim that is the user name of the client. Default: "sub". */
  readonly userNameClaim: string
  /**
   * Whether the user name in CONNECT, if there is one, must be the one in the token. Default:
   * true.
   */
  readonly requireSameUserName: boolean
  /** Claim that must be the Client Identifier; unset: a token is good for any. Default: unset. */
  readonly clientIdentifierClaim: string | undefined
  /** Claim with what the client may publish and subscribe to. Default: "acl". */
  readonly aclClaim: string
  /**
   * Whether the token may stand in the user name, for clients that send no password. Default:
   * false.
   */
  readonly allowInUserName: boolean
}

/** A service that is asked over HTTP, if a URL is set. */
export interface SecurityHttpConfiguration {
  /** Is asked, by POST, whether a client may connect. Default: unset. */
  readonly authenticateUrl: string | undefined
  /** Is asked, by POST, whether a client may publish or subscribe. Default: unset. */
  readonly authorizeUrl: string | undefined
  /** Headers of each question, such as 'X-Api-Key: KEY'; their values are not shown. Default: []. */
  readonly headers: readonly string[]
  /**
   * Authorities that the certificate of the service is checked against, PEM; unset: those that
   * Node knows. Default: unset.
   */
  readonly caFile: string | undefined
  /** How long the service may take to answer. Default: 3000. */
  readonly timeoutMs: number
  /** How many questions are under way at once, to each of the two. Default: 16. */
  readonly connectionsMax: number
  /**
   * How many may wait for that; what is beyond is refused: a CONNECT is told that the broker is
   * busy (0x89). Default: 256.
   */
  readonly waitingMax: number
  /** Longest answer that is read. Default: 65536. */
  readonly responseBytesMax: number
  /**
   * How long a client that was allowed a topic is not asked about again; 0: asked each time.
   * Default: 60.
   */
  readonly cacheAllowSeconds: number
  /** The same for a topic that it was denied. Default: 10. */
  readonly cacheDenySeconds: number
  /**
   * How many answers are kept for each client, while it is connected; the oldest goes. Default:
   * 64.
   */
  readonly cacheMax: number
  /**
   * After so many failures in a row the service is not asked for a while, and everything is
   * refused. Default: 5.
   */
  readonly failuresMax: number
  /** How long that while is; then one question tries whether it answers. Default: 10. */
  readonly retryAfterSeconds: number
}

/** What a client may do on its connection. */
export interface ConnectionConfiguration {
  /** How long a new connection may take to send CONNECT. Default: 10000. */
  readonly connectTimeoutMs: number
  /**
   * Longest Keep Alive; a client that asks for more, or for none, gets this one (MQTT 5.0
   * clients are told); 0: the client's stands. Default: 0.
   */
  readonly keepAliveMaxSeconds: number
  /**
   * Shortest Keep Alive; a client that asks for a shorter one gets this (MQTT 5.0 clients are
   * told). Default: 0.
   */
  readonly keepAliveMinSeconds: number
  /** Largest packet accepted from a client. Default: 2097152. */
  readonly maximumPacketSizeBytes: number
  /**
   * How many QoS 1 and 2 messages an MQTT 5.0 client may have under way to the broker. Default:
   * 1024.
   */
  readonly receiveMaximum: number
  /**
   * Highest QoS at which clients may publish; subscriptions are granted at most this. Default:
   * 2.
   */
  readonly maximumQos: 0 | 1 | 2
  /** Whether clients may publish retained messages. Default: true. */
  readonly retainAvailable: boolean
  /** How many Topic Aliases a client may use towards the broker; 0: none. Default: 32. */
  readonly topicAliasMaximum: number
  /**
   * How many Topic Aliases the broker uses towards a client that allows them; 0: none. Default:
   * 32.
   */
  readonly topicAliasMaximumOut: number
  /** Whether Topic Filters may contain + and #. Default: true. */
  readonly wildcardSubscriptions: boolean
  /** Whether subscriptions may carry an identifier. Default: true. */
  readonly subscriptionIdentifiers: boolean
  /** Whether $share/NAME/FILTER subscriptions are available. Default: true. */
  readonly sharedSubscriptions: boolean
  /**
   * Whether they are for MQTT 3.x clients too; if not, $share is an ordinary topic level to
   * these. Default: true.
   */
  readonly sharedSubscriptionsV3: boolean
  /** How many levels a Topic Name or Topic Filter may have. Default: 256. */
  readonly topicLevelsMax: number
  /** How long a Topic Name or Topic Filter may be, in bytes of UTF-8. Default: 65535. */
  readonly topicBytesMax: number
  /**
   * Topic prefix for responses, told to MQTT 5.0 clients that ask for Response Information.
   * Default: unset.
   */
  readonly responseInformation: string | undefined
  /**
   * Other broker that MQTT 5.0 clients are pointed to when this one is full or shuts down.
   * Default: unset.
   */
  readonly serverReference: string | undefined
  /** How many clients may be connected at once; 0: as many as the system allows. Default: 0. */
  readonly connectionsMax: number
  /** How much may wait in memory for a client whose network does not keep up. Default: 1048576. */
  readonly outBufferBytesMax: number
  /**
   * Whether clients may leave the Client Identifier empty and get one from the broker. Default:
   * true.
   */
  readonly assignClientIdentifiers: boolean
  /** How long a Client Identifier may be, in bytes of UTF-8. Default: 65535. */
  readonly clientIdentifierBytesMax: number
}

/** What is kept for a client, and for how long. */
export interface SessionConfiguration {
  /**
   * Longest time a session is kept after its client left; 4294967295: for ever. Default:
   * 4294967295.
   */
  readonly expiryMaxSeconds: number
  /** How many subscriptions a session may have. Default: 10000. */
  readonly subscriptionsMax: number
  /** How many QoS 1 and 2 messages wait for a client that is offline or slow. Default: 10000. */
  readonly queueMessagesMax: number
  /** How many bytes these messages may have. Default: 16777216. */
  readonly queueBytesMax: number
  /**
   * What happens when the queue is full: its oldest message goes, the new one goes, or the
   * client is disconnected. Default: "drop-oldest".
   */
  readonly queuePolicy: 'drop-oldest' | 'drop-newest' | 'disconnect'
  /**
   * How many QoS 1 and 2 messages may be under way to a client that allows as many. Default:
   * 1024.
   */
  readonly inflightMax: number
  /**
   * How long the session of an MQTT 3.x client without Clean Session is kept after it left;
   * 4294967295: for ever. Default: 4294967295.
   */
  readonly v3SessionExpirySeconds: number
  /** Longest Will Delay; a client that asks for more gets this. Default: 4294967295. */
  readonly willDelayMaxSeconds: number
  /**
   * How long after a restart clients that were connected may take to come back before their
   * wills are published. Default: 30.
   */
  readonly willRestartGraceSeconds: number
}

/** Shared Subscriptions. */
export interface SharedConfiguration {
  /** Which member of a Shared Subscription gets the next message. Default: "round-robin". */
  readonly strategy:
    | 'round-robin'
    | 'random'
    | 'sticky'
    | 'hash-client'
    | 'hash-topic'
    | 'least-in-flight'
}

/** Retained messages. */
export interface RetainedConfiguration {
  /** How many retained messages are kept. Default: 1000000. */
  readonly messagesMax: number
  /** How many bytes retained messages may have together. Default: 1073741824. */
  readonly bytesMax: number
  /**
   * How long a retained message without Message Expiry Interval is kept; 0: for ever. Default:
   * 0.
   */
  readonly defaultExpirySeconds: number
}

/** Limits of rate, and of clients that say nothing, in general. */
export interface LimitsConfiguration {
  /**
   * Whether limits per address, half-open limits and bans that the broker makes itself hold for
   * clients of this machine too. Default: false.
   */
  readonly loopback: boolean
  /**
   * What happens to a client that sends more per second than it may: it is read more slowly, or
   * disconnected (0x96). Default: "slow".
   */
  readonly onRateExceeded: 'slow' | 'disconnect'
  /** For how many seconds of rest a rate may be made up for at once. Default: 5. */
  readonly burstSeconds: number
  /**
   * How many connections may be open that have not sent CONNECT yet; the oldest goes. 0: no
   * limit. Default: 5000.
   */
  readonly halfOpenMax: number
}

/** What each client may, by its Client Identifier. */
export interface PerClientConfiguration {
  /** How many times a client may connect per second; 0: no limit. Default: 0. */
  readonly connectionsPerSecond: number
  /** How many messages a client may publish per second; 0: no limit. Default: 0. */
  readonly messagesInPerSecond: number
  /** How many bytes a client may send per second; 0: no limit. Default: 0. */
  readonly bytesInPerSecond: number
  /** How many messages a client is sent per second; 0: no limit. Default: 0. */
  readonly messagesOutPerSecond: number
  /** How many bytes of messages a client is sent per second; 0: no limit. Default: 0. */
  readonly bytesOutPerSecond: number
  /** How many retained messages of a client are kept; 0: no limit. Default: 0. */
  readonly retainedMessagesMax: number
  /** How many bytes these may have together; 0: no limit. Default: 0. */
  readonly retainedBytesMax: number
}

/** What each user may, with all clients; clients without user name have no limit here. */
export interface PerUserConfiguration {
  /** How many clients of a user may be connected at once; 0: no limit. Default: 0. */
  readonly connectionsMax: number
  /** How many times a user, with all clients, may connect per second; 0: no limit. Default: 0. */
  readonly connectionsPerSecond: number
  /** How many messages a user, with all clients, may publish per second; 0: no limit. Default: 0. */
  readonly messagesInPerSecond: number
  /** How many bytes a user, with all clients, may send per second; 0: no limit. Default: 0. */
  readonly bytesInPerSecond: number
  /** How many messages a user, with all clients, is sent per second; 0: no limit. Default: 0. */
  readonly messagesOutPerSecond: number
  /**
   * How many bytes of messages a user, with all clients, is sent per second; 0: no limit.
   * Default: 0.
   */
  readonly bytesOutPerSecond: number
  /** How many retained messages of a user, with all clients, are kept; 0: no limit. Default: 0. */
  readonly retainedMessagesMax: number
  /** How many bytes these may have together; 0: no limit. Default: 0. */
  readonly retainedBytesMax: number
  /** How many subscriptions the sessions of a user may have together; 0: no limit. Default: 0. */
  readonly subscriptionsMax: number
  /** How many bytes may wait for the clients of a user together; 0: no limit. Default: 0. */
  readonly queuedBytesMax: number
}

/** What each address may, with all clients; an IPv6 address counts as its /64. */
export interface PerAddressConfiguration {
  /** How many clients of an address may be connected at once; 0: no limit. Default: 0. */
  readonly connectionsMax: number
  /**
   * How many times an address, with all clients, may connect per second; 0: no limit. Default:
   * 0.
   */
  readonly connectionsPerSecond: number
  /**
   * How many messages an address, with all clients, may publish per second; 0: no limit.
   * Default: 0.
   */
  readonly messagesInPerSecond: number
  /** How many bytes an address, with all clients, may send per second; 0: no limit. Default: 0. */
  readonly bytesInPerSecond: number
  /** How many messages an address, with all clients, is sent per second; 0: no limit. Default: 0. */
  readonly messagesOutPerSecond: number
  /**
   * How many bytes of messages an address, with all clients, is sent per second; 0: no limit.
   * Default: 0.
   */
  readonly bytesOutPerSecond: number
  /**
   * How many retained messages of an address, with all clients, are kept; 0: no limit. Default:
   * 0.
   */
  readonly retainedMessagesMax: number
  /** How many bytes these may have together; 0: no limit. Default: 0. */
  readonly retainedBytesMax: number
  /**
   * How many subscriptions the sessions of an address may have together; 0: no limit. Default:
   * 0.
   */
  readonly subscriptionsMax: number
  /** How many bytes may wait for the clients of an address together; 0: no limit. Default: 0. */
  readonly queuedBytesMax: number
  /**
   * How many connections of an address may be open that have not sent CONNECT yet; the oldest
   * goes. 0: no limit. Default: 500.
   */
  readonly halfOpenMax: number
}

/** Who may not connect for a while. */
export interface BansConfiguration {
  /**
   * Who is banned, kept over restarts: a file of `noctule ban`, made if there is none. A changed
   * file is in force at once. Unset: bans end with the broker. Default: unset.
   */
  readonly file: string | undefined
  /** Within which time offences are counted. Default: 60. */
  readonly windowSeconds: number
  /** How long a ban lasts that the broker makes itself. Default: 300. */
  readonly durationSeconds: number
  /**
   * How many wrong passwords for one user may come from one address within that time, before
   * that address may not log in as that user; 0: any number. Default: 20.
   */
  readonly failedLoginsMax: number
  /**
   * How many wrong passwords for any users may come from one address before it is banned; 0: any
   * number. Default: 200.
   */
  readonly failedLoginsPerAddressMax: number
  /**
   * How many times a client may connect from one address before it may not from there; 0: any
   * number. Default: 100.
   */
  readonly flappingMax: number
  /**
   * How many bans the broker keeps; beyond, the one of its own that ends first goes. Default:
   * 5000.
   */
  readonly entriesMax: number
}

/** What happens when the broker has too much to do. */
export interface OverloadConfiguration {
  /**
   * How late the broker may be with its work before new clients are told that it is busy (0x89);
   * 0: any. Default: 1000.
   */
  readonly eventLoopDelayMaxMs: number
  /**
   * From which share of the machine's (or container's) memory, or of V8's heap, on clients that
   * publish are paused. Default: 85.
   */
  readonly pauseMemoryPercent: number
  /** From which share on new clients are refused (0x97) as well. Default: 92. */
  readonly refuseMemoryPercent: number
}

/** The bound over all that is kept in memory. */
export interface MemoryConfiguration {
  /**
   * How much memory messages and buffers may take before the broker sheds load; 0: half of what
   * the container, the machine or V8's heap allows, whichever is least. Default: 0.
   */
  readonly budgetBytes: number
}

/** What survives a restart. */
export interface StoreConfiguration {
  /**
   * Where sessions, queues and retained messages live. disk:DIRECTORY: an embedded store;
   * redis://HOST:PORT/DB (rediss: with TLS), redis+sentinel://HOST,HOST/NAME,
   * redis+cluster://HOST,HOST: a Redis; memory: nowhere else, they end with the process. A
   * broker that a program creates has memory unless it says otherwise. Default: "disk:./data".
   */
  readonly url: string
  /**
   * What an acknowledgement has to survive: nothing, the end of the process, a power cut, the
   * loss of a machine. The broker does not start if the store gives less; unset: whatever the
   * store gives. process makes disk: faster, as nothing waits for the disk. Default: unset.
   */
  readonly durability: 'volatile' | 'process' | 'disk' | 'replicated' | undefined
  /**
   * Whether to start, with a warning, although the store gives less than `store.durability` asks
   * for. Default: false.
   */
  readonly allowWeaker: boolean
  /**
   * How long a client waits for the store: a CONNECT is refused then, and an MQTT 3.x publisher
   * whose message cannot be kept is disconnected. Default: 5000.
   */
  readonly timeoutMs: number
  /**
   * How many messages may be on their way into the store before clients that publish are slowed.
   * Default: 100000.
   */
  readonly pendingUnitsMax: number
  /** How many bytes these messages may have. Default: 67108864. */
  readonly pendingBytesMax: number
  /**
   * What the names of all keys in Redis begin with: brokers with other prefixes may share it.
   * Default: "mq:".
   */
  readonly keyPrefix: string
  /** How many replicas of Redis must have a message before it is acknowledged. Default: 0. */
  readonly waitReplicas: number
  /**
   * What happens when Redis comes back without what it kept: the broker writes back what it
   * knows, or stops. Default: "continue".
   */
  readonly onEmpty: 'continue' | 'refuse'
}

/** What the broker tells about itself. */
export interface MonitorConfiguration {
  /** How often the numbers under $SYS are published; 0: never. Default: 10. */
  readonly sysIntervalSeconds: number
  /** Whether $SYS tells when clients connect and disconnect. Default: true. */
  readonly presence: boolean
  /** Name of this broker in $SYS topics, logs and metrics. Default: "noctule". */
  readonly nodeName: string
  readonly metrics: MonitorMetricsConfiguration
}

/** Metrics for Prometheus, over HTTP, if a port is set. */
export interface MonitorMetricsConfiguration {
  /**
   * Port of http://HOST:PORT/metrics; 0: any free one. Unset: there are no metrics. Default:
   * unset.
   */
  readonly port: number | undefined
  /**
   * Address to serve them on; 0.0.0.0 or :: for all interfaces of the machine. Default:
   * "127.0.0.1".
   */
  readonly host: string
  /**
   * A token that whoever reads them has to send (Authorization: Bearer …): a file with nothing
   * else in it. A changed file is in force at once. Default: unset.
   */
  readonly tokenFile: string | undefined
  /**
   * Whether other machines may read them without a token, where there is no tokenFile. Default:
   * false.
   */
  readonly allowAnonymous: boolean
}

/** The log, on the standard output. */
export interface LogConfiguration {
  /** Least important lines that are logged. Default: "info". */
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'
  /** How lines look; auto: pretty on a terminal, JSON otherwise. Default: "auto". */
  readonly format: 'auto' | 'pretty' | 'json'
}

/** How the broker ends. */
export interface ShutdownConfiguration {
  /** How long a stopping broker waits for what is under way to its clients. Default: 5000. */
  readonly drainTimeoutMs: number
}

/** Every option of a broker, checked and complete. */
export interface BrokerConfiguration {
  /** Where clients arrive. Each entry has a type: tcp, tls, ws, wss or unix. */
  readonly listeners: readonly ListenerConfiguration[]
  readonly security: SecurityConfiguration
  readonly connection: ConnectionConfiguration
  readonly session: SessionConfiguration
  readonly shared: SharedConfiguration
  readonly retained: RetainedConfiguration
  readonly limits: LimitsConfiguration
  readonly perClient: PerClientConfiguration
  readonly perUser: PerUserConfiguration
  readonly perAddress: PerAddressConfiguration
  readonly bans: BansConfiguration
  readonly overload: OverloadConfiguration
  readonly memory: MemoryConfiguration
  readonly store: StoreConfiguration
  readonly monitor: MonitorConfiguration
  readonly log: LogConfiguration
  readonly shutdown: ShutdownConfiguration
}
