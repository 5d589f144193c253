/* tls - TLS over a socket that is connected already, as a client, for libraries that bring none of their own (hiredis 0.14).
 *
 * The server's certificate is always checked: signed by a CA that is trusted, and made out to the host that was asked for. TLS 1.2 and later.
 * Threads: one at a time. Calls block as long as the socket's own timeouts (SO_RCVTIMEO, SO_SNDTIMEO) allow; the program must ignore SIGPIPE. */
#ifndef BERTH_IO_TLS_TLS_H
#define BERTH_IO_TLS_TLS_H

#include "core/base.h"

typedef struct bt_tls bt_tls;

/* Shakes hands.
 *   fd       stays the caller's; closed after bt_tls_free
 *   host     a name or an IP address: what the certificate must be made out to
 *   ca_file  PEM; NULL or empty: the system's
 *   err      BT_ERR_RETRY with the cause, which may be a certificate that does not fit (a person may be mending it) */
bt_tls *bt_tls_new(int fd, const char *host, const char *ca_file, bt_err *err) BT_MUST_CHECK;
void bt_tls_free(bt_tls *tls); /* NULL is fine */

/* All of it, or BT_ERR_UNKNOWN. */
bool bt_tls_write(bt_tls *tls, const void *bytes, size_t size, bt_err *err) BT_MUST_CHECK;
/* What has come, at least one byte, or BT_ERR_UNKNOWN: closed, or nothing in time. */
bool bt_tls_read(bt_tls *tls, void *ret_bytes, size_t capacity, size_t *ret_size, bt_err *err) BT_MUST_CHECK;

#endif
