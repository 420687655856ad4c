/* The floor: a socket, or OpenSSL on one, the request's bytes made beforehand, the reply's length known. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

static int fd;
static SSL *tls;
static char request[1024], reply[65536];
static size_t request_length, reply_length;

static size_t receive(char *to, size_t room)
{
    long got = tls != NULL ? SSL_read(tls, to, (int)room) : recv(fd, to, room, 0);
    if (got <= 0)
        fail("raw", "the connection ended");
    return (size_t)got;
}

void peer_begin(const char *base_url, const char *ca)
{
    char host[64];
    unsigned port;
    if (sscanf(base_url, "%*[a-z]://%63[^:]:%u", host, &port) != 2)
        fail("raw", "the URL must be scheme://address:port");
    fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("raw", "cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (ca != NULL) {
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_load_verify_locations(context, ca, NULL) != 1)
            fail("raw", "cannot read the CA file");
        tls = SSL_new(context);
        SSL_set_fd(tls, fd);
        if (SSL_connect(tls) != 1)
            fail("raw", "no TLS");
    }

    /* The bytes that libtrophy sends. */
    static const char body[] = "{\"user\":{\"id\":\"1000042\"},\"value\":750,\"attributes\":{\"genre\":\"poem\"}}";
    request_length = (size_t)snprintf(
        request, sizeof request,
        "POST " PATH " HTTP/1.1\r\nx-api-key: " API_KEY "\r\nidempotency-key: 3c5b6c0f-6a51-4a8e-93a4-7d9ac0d71d1c\r\n"
        "content-type: application/json\r\nuser-agent: libtrophy/1.0.0\r\ncontent-length: %zu\r\nhost: %s:%u\r\n\r\n%s",
        sizeof body - 1, host, port, body);
}

void peer_event(unsigned number)
{
    (void)number;
    long sent = tls != NULL ? SSL_write(tls, request, (int)request_length)
                            : send(fd, request, request_length, MSG_NOSIGNAL);
    if (sent != (long)request_length)
        fail("raw", "cannot send");
    size_t used = receive(reply, sizeof reply - 1);
    if (reply_length == 0) {
        reply[used] = '\0';
        char *end = strstr(reply, "\r\n\r\n"), *length = strcasestr(reply, "content-length:");
        if (end == NULL || length == NULL)
            fail("raw", "not a reply");
        reply_length = (size_t)(end + 4 - reply) + strtoul(length + 15, NULL, 10);
    }
    while (used < reply_length)
        used += receive(reply + used, sizeof reply - 1 - used);
}
