/*
 * The service that all peers talk to: one thread, epoll, keep-alive, fixed replies, so that it costs little and
 * the same for each.
 *
 *   server [--delay-ms N] [--limit N] [--tls CERT KEY]
 *
 * Prints its port and ends when its stdin closes. POST …/metrics/events (a batch) is answered with 202, any other
 * POST with 201 and an event's reply. `--limit`: at most N requests in any second, as the service; those over it
 * get 429. GET /stats tells what came since the last GET /stats, as JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The shape of a real one: nothing achieved, a streak, one points system. */
#define EVENT                                                                                                    \
    "{\"achievements\":[],\"currentStreak\":{\"expires\":\"2026-11-25\",\"extended\":false,\"freezes\":0,"           \
    "\"frequency\":\"daily\",\"length\":3,\"maxFreezes\":3,\"periodEnd\":\"2026-11-24\","                            \
    "\"periodStart\":\"2026-11-24\",\"started\":\"2026-11-22\"},"                                                    \
    "\"eventId\":\"1844fb26-b018-42f8-9898-c924705436dd\",\"idempotencyKey\":\"chapter-2\","                         \
    "\"idempotentReplayed\":false,\"leaderboards\":{},\"metricId\":\"95c3345a-3b56-4fe7-b60b-db80e74fe29c\","        \
    "\"points\":{\"xp\":{\"added\":0,\"awards\":[],\"badgeUrl\":null,\"description\":null,"                          \
    "\"id\":\"02c4b454-2e9f-4637-8955-4dd85527a217\",\"key\":\"xp\",\"level\":null,\"maxPoints\":null,"            \
    "\"name\":\"XP\",\"total\":70}},\"total\":757}"

struct connection {
    int fd;
    SSL *tls;
    char *input;
    size_t used, room;
    /* Requests read whose answers wait for the delay. */
    unsigned waiting;
    bool gone;
};

struct answer {
    struct connection *to;
    uint64_t due;
    char *text;
    size_t length;
};

static struct {
    uint64_t requests, events, limited, connections, first, last;
} seen;

static int epoll;
static uint64_t delay;
static unsigned limit;
static SSL_CTX *tls;
/* A ring: the delay is the same for all, so the first in is the first due. */
static struct answer *answers;
static size_t answers_room = 1024, answers_first, answers_count;

static void *need(void *memory)
{
    if (memory == NULL) {
        perror("server");
        exit(1);
    }
    return memory;
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void hang_up(struct connection *connection)
{
    if (!connection->gone) {
        connection->gone = true;
        if (connection->tls != NULL)
            SSL_free(connection->tls);
        close(connection->fd);
    }
    if (connection->waiting == 0) {
        free(connection->input);
        free(connection);
    }
}

/* Replies are far smaller than a socket's buffer: one that does not fit at once is to a client that does not read. */
static bool send_all(struct connection *connection, const char *text, size_t length)
{
    if (connection->tls != NULL)
        return SSL_write(connection->tls, text, (int)length) == (int)length;
    return send(connection->fd, text, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* The service's limit: a request that may not pass does not count. */
static bool admit(uint64_t at)
{
    static uint64_t passed[1024];
    static unsigned next;
    if (limit == 0)
        return true;
    if (passed[next] != 0 && at - passed[next] < 1000000000u)
        return false;
    passed[next] = at;
    next = (next + 1) % limit;
    return true;
}

static size_t count(const char *text, size_t length, const char *what)
{
    size_t found = 0;
    const char *end = text + length;
    while ((text = memmem(text, (size_t)(end - text), what, strlen(what))) != NULL) {
        found++;
        text += strlen(what);
    }
    return found;
}

/* Writes the answer to a request; its length. */
static size_t reply(char *out, size_t room, const char *head, const char *body, size_t length)
{
    int written;
    if (strncmp(head, "GET /stats", 10) == 0) {
        char stats[512];
        int size = snprintf(stats, sizeof stats,
                            "{\"requests\":%llu,\"events\":%llu,\"limited\":%llu,\"connections\":%llu,"
                            "\"first_ns\":%llu,\"last_ns\":%llu}",
                            (unsigned long long)seen.requests, (unsigned long long)seen.events,
                            (unsigned long long)seen.limited, (unsigned long long)seen.connections,
                            (unsigned long long)seen.first, (unsigned long long)seen.last);
        memset(&seen, 0, sizeof seen);
        written = snprintf(out, room, "HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s", size, stats);
        return (size_t)written;
    }

    uint64_t at = now();
    if (!admit(at)) {
        seen.limited++;
        written = snprintf(out, room,
                           "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json; charset=utf-8\r\n"
                           "content-length: 29\r\n\r\n{\"error\":\"Too many requests.\"}");
        return (size_t)written;
    }
    if (seen.requests++ == 0)
        seen.first = at;
    seen.last = at;
    if (memmem(head, strcspn(head, "\r"), "/metrics/events", 15) != NULL) {
        size_t events = count(body, length, "\"idempotencyKey\"");
        char accepted[64];
        int size = snprintf(accepted, sizeof accepted, "{\"accepted\":%zu}", events);
        seen.events += events;
        written = snprintf(out, room,
                           "HTTP/1.1 202 Accepted\r\ncontent-type: application/json; charset=utf-8\r\n"
                           "content-length: %d\r\n\r\n%s",
                           size, accepted);
        return (size_t)written;
    }
    seen.events++;
    static const char event[] = "HTTP/1.1 201 Created\r\ncontent-type: application/json; charset=utf-8\r\n"
                                "content-length: %zu\r\ndate: Tue, 24 Nov 2026 14:49:34 GMT\r\n\r\n%s";
    written = snprintf(out, room, event, sizeof EVENT - 1, EVENT);
    return (size_t)written;
}

static void answer(struct connection *connection, const char *head, const char *body, size_t length)
{
    char text[2048];
    size_t size = reply(text, sizeof text, head, body, length);
    if (delay == 0) {
        if (!send_all(connection, text, size))
            shutdown(connection->fd, SHUT_RDWR);
        return;
    }
    if (answers_count == answers_room) {
        struct answer *more = need(malloc(2 * answers_room * sizeof *more));
        for (size_t i = 0; i < answers_count; i++)
            more[i] = answers[(answers_first + i) % answers_room];
        free(answers);
        answers = more;
        answers_first = 0;
        answers_room *= 2;
    }
    struct answer *later = &answers[(answers_first + answers_count++) % answers_room];
    later->to = connection;
    later->due = now() + delay;
    later->text = need(malloc(size));
    later->length = size;
    memcpy(later->text, text, size);
    connection->waiting++;
}

/* Sends what is due; the wait until the next, in milliseconds. */
static int answer_due(void)
{
    while (answers_count > 0) {
        struct answer *next = &answers[answers_first];
        uint64_t time = now();
        if (next->due > time)
            return (int)((next->due - time + 999999) / 1000000);
        answers_first = (answers_first + 1) % answers_room;
        answers_count--;
        next->to->waiting--;
        if (next->to->gone)
            hang_up(next->to);
        else if (!send_all(next->to, next->text, next->length))
            shutdown(next->to->fd, SHUT_RDWR);
        free(next->text);
    }
    return -1;
}

/* Answers each whole request of the input and keeps the rest. */
static void answer_all(struct connection *connection)
{
    size_t done = 0;
    while (done < connection->used) {
        char *head = connection->input + done;
        char *end = memmem(head, connection->used - done, "\r\n\r\n", 4);
        if (end == NULL)
            break;
        size_t head_length = (size_t)(end - head) + 4, length = 0;
        for (char *line = head; line < end; line = memchr(line, '\n', (size_t)(end - line) + 4) + 1)
            if (strncasecmp(line, "content-length:", 15) == 0)
                length = strtoul(line + 15, NULL, 10);
        if (connection->used - done < head_length + length)
            break;
        answer(connection, head, head + head_length, length);
        done += head_length + length;
    }
    if (done > 0) {
        connection->used -= done;
        memmove(connection->input, connection->input + done, connection->used);
    }
}

static void readable(struct connection *connection)
{
    for (;;) {
        if (connection->room - connection->used < 16384) {
            connection->room = 2 * connection->room + 16384;
            connection->input = need(realloc(connection->input, connection->room + 1));
        }
        char *to = connection->input + connection->used;
        size_t room = connection->room - connection->used;
        ssize_t got;
        if (connection->tls != NULL) {
            got = SSL_read(connection->tls, to, (int)room);
            if (got <= 0) {
                int error = SSL_get_error(connection->tls, (int)got);
                ERR_clear_error();
                if (error == SSL_ERROR_WANT_READ)
                    return;
                hang_up(connection);
                return;
            }
        } else {
            got = recv(connection->fd, to, room, 0);
            if (got < 0 && (errno == EAGAIN || errno == EINTR))
                return;
            if (got <= 0) {
                hang_up(connection);
                return;
            }
        }
        connection->used += (size_t)got;
        connection->input[connection->used] = '\0';
        answer_all(connection);
        /* What did not fill the buffer was all there is; if not, epoll tells again. */
        bool more = connection->tls != NULL ? SSL_pending(connection->tls) > 0 : (size_t)got == room;
        if (!more)
            return;
    }
}

static void welcome(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    seen.connections++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct connection *connection = need(calloc(1, sizeof *connection));
    connection->fd = fd;
    if (tls != NULL) {
        connection->tls = need(SSL_new(tls));
        SSL_set_fd(connection->tls, fd);
        SSL_set_accept_state(connection->tls);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--delay-ms") == 0 && i + 1 < argc) {
            delay = strtoull(argv[++i], NULL, 10) * 1000000;
        } else if (strcmp(argv[i], "--limit") == 0 && i + 1 < argc) {
            limit = (unsigned)strtoul(argv[++i], NULL, 10) % 1024;
        } else if (strcmp(argv[i], "--tls") == 0 && i + 2 < argc) {
            tls = need(SSL_CTX_new(TLS_server_method()));
            if (SSL_CTX_use_certificate_chain_file(tls, argv[i + 1]) != 1
                || SSL_CTX_use_PrivateKey_file(tls, argv[i + 2], SSL_FILETYPE_PEM) != 1) {
                ERR_print_errors_fp(stderr);
                return 1;
            }
            SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
            i += 2;
        } else {
            fprintf(stderr, "usage: server [--delay-ms N] [--limit N] [--tls CERT KEY]\n");
            return 2;
        }
    }
    answers = need(malloc(answers_room * sizeof *answers));

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) != 0
        || listen(listener, 1024) != 0 || getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        perror("server");
        return 1;
    }
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.ptr = &event;
    epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);

    for (;;) {
        struct epoll_event ready[256];
        int many = epoll_wait(epoll, ready, 256, answer_due());
        for (int i = 0; i < many; i++) {
            if (ready[i].data.ptr == NULL)
                welcome(listener);
            else if (ready[i].data.ptr == &event)
                return 0;
            else
                readable(ready[i].data.ptr);
        }
    }
}
