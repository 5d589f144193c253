/* remedy - what librdkafka says when a broker and we do not come together, in the words of our settings.
 *
 * It tells of a refused password or an unknown CA in a line of its log only; whoever waits for an answer hears that none came. */
#include "io/kafka/client.h"

#include "io/trouble/trouble.h"

#include <stdio.h>

static const char *remedy_of(const char *text)
{
    static const struct {
        const char *says, *remedy;
    } remedies[] = {
#if RD_KAFKA_VERSION < 0x020601ff
        /* They send the nonce twice, whatever the password is, and Kafka has checked it strictly since 4.0 (CVE-2024-56128; librdkafka #4895). */
        { "SASL mechanism SCRAM", "check kafka.sasl.username and kafka.sasl.password; but this librdkafka is older than 2.6.1 and cannot do SCRAM with Kafka 4.0 or later: "
                                  "kafka.sasl.mechanism=PLAIN over TLS can" },
#endif
        { "SASL authentication error", "check kafka.sasl.username, kafka.sasl.password and kafka.sasl.mechanism" },
        { "SASL mechanism", "kafka.sasl.mechanism must be one that the broker's listener offers" },
        { "certificate verify failed", "kafka.ssl.ca.location must name the file of the CA that signed the broker's certificate, which must be made out to the host in kafka.bootstrap.servers" },
        { "might be caused by incorrect security.protocol", "check kafka.security.protocol: does this listener take plaintext, ssl, sasl_plaintext or sasl_ssl?" },
        { "connecting to a PLAINTEXT broker listener", "check kafka.security.protocol: the listener takes no TLS" },
        { "SSL handshake failed", "check kafka.security.protocol and kafka.ssl.*: does this listener take TLS, and does it ask for a certificate of ours?" },
        { "Failed to resolve", "check the host in kafka.bootstrap.servers" },
    };
    for (size_t i = 0; i < BT_COUNT_OF(remedies); i++)
        if (strstr(text, remedies[i].says) != NULL)
            return remedies[i].remedy;
    return NULL;
}

bool bt_kafka_remedy(const char *facility, const char *text, char ret_line[BT_TROUBLE_MAX], bool *ret_is_news)
{
    const char *remedy = strcmp(facility, "FAIL") == 0 ? remedy_of(text) : NULL;
    if (remedy == NULL || strstr(text, "Broker handle destroyed") != NULL) /* that is a client which we close */
        return false;
    const char *thread = strstr(text, "]: "); /* which of the library's threads it was says nothing to anyone */
    const char *cause = thread != NULL ? thread + 3 : text;
    const char *count = strstr(cause, " (after "); /* differs each time: what is the same should look the same */
    size_t size = count != NULL ? (size_t)(count - cause) : strlen(cause);
    snprintf(ret_line, BT_TROUBLE_MAX, "%.*s; %s", (int)(size < 160 ? size : 160), cause, remedy);
    *ret_is_news = bt_trouble_note(BT_TROUBLE_KAFKA, ret_line);
    return true;
}

void bt_kafka_fail_unanswered(bt_err *err, const char *what, int timeout_ms, rd_kafka_resp_err_t code)
{
    char trouble[BT_TROUBLE_MAX];
    if (bt_trouble_get(BT_TROUBLE_KAFKA, trouble))
        bt_fail(err, BT_ERR_RETRY, code, "%s: no broker answered within %d ms: %s", what, timeout_ms, trouble);
    else
        bt_fail(err, BT_ERR_RETRY, code, "%s: no broker answered within %d ms: %s. Is Kafka running, and is kafka.bootstrap.servers right?", what, timeout_ms, rd_kafka_err2str(code));
}
