/* tls - OpenSSL behind four functions. A context is made for each connection: connections are few, and a CA file that was replaced is read anew. */
#include "io/tls/tls.h"

#include "core/memory.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

struct bt_tls {
    SSL_CTX *context;
    SSL *session;
};

void bt_tls_free(bt_tls *tls)
{
    if (tls == NULL)
        return;
    if (tls->session != NULL && SSL_is_init_finished(tls->session))
        SSL_shutdown(tls->session); /* a courtesy: whether it arrives does not matter */
    SSL_free(tls->session);
    SSL_CTX_free(tls->context);
    ERR_clear_error();
    bt_release(tls);
}

/* What went wrong, in OpenSSL's words, or the system's. */
static bool fail(const bt_tls *tls, bt_err_kind kind, const char *what, int result, bt_err *err)
{
    int cause = errno;
    int error = tls->session != NULL ? SSL_get_error(tls->session, result) : SSL_ERROR_SSL;
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    long verified = tls->session != NULL ? SSL_get_verify_result(tls->session) : X509_V_OK;
    ERR_clear_error();
    if (verified != X509_V_OK)
        return bt_fail(err, kind, 0, "%s: certificate verify failed: %s", what, X509_verify_cert_error_string(verified));
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return bt_fail(err, kind, 0, "%s: nothing came in time", what);
    if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && code == 0 && cause == 0))
        return bt_fail(err, kind, 0, "%s: the server closed the connection", what);
    return bt_fail(err, kind, 0, "%s: %s", what, reason != NULL ? reason : strerror(cause));
}

static bool set_up(bt_tls *tls, int fd, const char *host, const char *ca_file, bt_err *err)
{
    tls->context = SSL_CTX_new(TLS_client_method());
    if (tls->context == NULL || SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1)
        return fail(tls, BT_ERR_RETRY, "TLS cannot be set up", 0, err);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    if (ca_file != NULL && ca_file[0] != '\0') {
        if (SSL_CTX_load_verify_locations(tls->context, ca_file, NULL) != 1)
            return fail(tls, BT_ERR_RETRY, "the file of CA certificates cannot be read", 0, err);
    } else if (SSL_CTX_set_default_verify_paths(tls->context) != 1) {
        return fail(tls, BT_ERR_RETRY, "the system's CA certificates cannot be read", 0, err);
    }
    tls->session = SSL_new(tls->context);
    if (tls->session == NULL || SSL_set_fd(tls->session, fd) != 1)
        return fail(tls, BT_ERR_RETRY, "TLS cannot be set up", 0, err);
    bool is_address = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->session), host) == 1;
    ERR_clear_error();
    if (!is_address && (SSL_set1_host(tls->session, host) != 1 || SSL_set_tlsext_host_name(tls->session, host) != 1))
        return fail(tls, BT_ERR_RETRY, "TLS cannot be set up", 0, err);
    return true;
}

bt_tls *bt_tls_new(int fd, const char *host, const char *ca_file, bt_err *err)
{
    bt_tls *tls = bt_alloc(sizeof *tls);
    ERR_clear_error();
    if (set_up(tls, fd, host, ca_file, err)) {
        errno = 0;
        int result = SSL_connect(tls->session);
        if (result == 1)
            return tls;
        fail(tls, BT_ERR_RETRY, "TLS handshake", result, err);
    }
    bt_tls_free(tls);
    return NULL;
}

bool bt_tls_write(bt_tls *tls, const void *bytes, size_t size, bt_err *err)
{
    size_t written = 0;
    errno = 0;
    if (size == 0)
        return true;
    /* Without SSL_MODE_ENABLE_PARTIAL_WRITE it is all or nothing. */
    int result = SSL_write_ex(tls->session, bytes, size, &written);
    return (result == 1 && written == size) || fail(tls, BT_ERR_UNKNOWN, "TLS", result, err);
}

bool bt_tls_read(bt_tls *tls, void *ret_bytes, size_t capacity, size_t *ret_size, bt_err *err)
{
    errno = 0;
    int result = SSL_read_ex(tls->session, ret_bytes, capacity, ret_size);
    return result == 1 || fail(tls, BT_ERR_UNKNOWN, "TLS", result, err);
}
