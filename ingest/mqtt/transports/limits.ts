/** Every bound and pause of the transports, by name. Refuses to know where they are enforced. */

/** From the TCP accept to a finished TLS handshake, and to a finished WebSocket upgrade. */
export const HANDSHAKE_MS_MAX = 10_000;
/** Sockets of one port that are in their handshake; one more is closed at once. */
export const HANDSHAKES_MAX = 5_000;
/** Bytes of the HTTP request that asks for a WebSocket. */
export const UPGRADE_HEADER_BYTES_MAX = 8 * 1024;
/** Bytes that a WebSocket may send before it has been answered for the first time: its CONNECT and the frames around. */
export const EARLY_BYTES_MAX = 64 * 1024;
/** How often certificate files are looked at, so that a renewal needs no restart. */
export const CERTIFICATE_READ_EVERY_MS = 30_000;
/** Bytes of one certificate, key or authority file. */
export const CERTIFICATE_FILE_BYTES_MAX = 1024 * 1024;
/** Names of one client certificate that are looked at. */
export const CERTIFICATE_NAMES_MAX = 32;
/** Connections that the kernel holds for us. */
export const BACKLOG_MAX = 4_096;
/** Seconds of silence after which the kernel asks whether the peer still lives. */
export const TCP_KEEP_ALIVE_S = 60;
