/* Calls ended in every phase, from outside: cancelled, closed, freed, left by a child and by a program that just ends;
 * and replies that are cut off at every byte. Against servers of this program's own. */
#define WITH_SOCKETS
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#ifndef _WIN32
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#endif

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* ---- servers */

enum kind {
    SILENT,   /* takes connections and reads, and says nothing */
    FULL,     /* takes no connection */
    READER_OF_NOTHING,
    UNAVAILABLE, /* 503, come back in half a minute */
    CUTTER,   /* each reply a byte longer, then the end */
    WORDY_PROXY, /* a refusal of 20,000 bytes; from the second connection on, the tunnel and a reply */
};

static const char REPLY[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"id\":\"42\"}";
enum { REPLY_LENGTH = sizeof REPLY - 1 };

struct server {
    enum kind kind;
    int listener;
    int port;
    int fillers[16];
    pthread_t thread;
    struct connection *newest;
    /* Connections that came, requests read to the end of their head. */
    int connections, requests;
    int is_over;
};

static void count(int *counter) {
    pthread_mutex_lock(&mutex);
    (*counter)++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void wait_for_count(int *counter, int many) {
    pthread_mutex_lock(&mutex);
    while (*counter < many) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
}

struct connection {
    struct server *server;
    int socket;
    int number;
    pthread_t thread;
    struct connection *older;
};

static int read_head(int socket) {
    char text[1 << 16];
    size_t length = 0;
    while (length < sizeof text - 1) {
        ssize_t amount = read(socket, text + length, sizeof text - 1 - length);
        if (amount <= 0) {
            return 0;
        }
        length += (size_t)amount;
        text[length] = 0;
        if (strstr(text, "\r\n\r\n")) {
            return 1;
        }
    }
    return 1;
}

static void say(int socket, const char *text, size_t length) {
    while (length > 0) {
        ssize_t amount = send(socket, text, length, MSG_NOSIGNAL);
        if (amount <= 0) {
            return;
        }
        text += amount;
        length -= (size_t)amount;
    }
}

static void *serve(void *argument) {
    struct connection *connection = argument;
    struct server *server = connection->server;
    static const char busy[] =
        "HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 16\r\n\r\n{\"error\":\"busy\"}";
    char byte;
    if (server->kind == READER_OF_NOTHING) {
        count(&server->requests);
        while (recv(connection->socket, &byte, 1, MSG_PEEK) > 0 && !__atomic_load_n(&server->is_over, __ATOMIC_SEQ_CST)) {
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
    } else if (server->kind == CUTTER) {
        if (read_head(connection->socket)) {
            say(connection->socket, REPLY, (size_t)connection->number % (REPLY_LENGTH + 1));
        }
    } else if (server->kind == WORDY_PROXY) {
        static const char tunnel[] = "HTTP/1.1 200 OK\r\n\r\n";
        char refusal[20000] = "HTTP/1.1 502 Bad\r\nX-Why: ";
        memset(refusal + strlen(refusal), 'y', sizeof refusal - strlen(refusal));
        if (read_head(connection->socket) && connection->number == 0) {
            say(connection->socket, refusal, sizeof refusal);
        } else {
            say(connection->socket, tunnel, sizeof tunnel - 1);
            if (read_head(connection->socket)) {
                say(connection->socket, REPLY, REPLY_LENGTH);
            }
        }
    } else if (server->kind == SILENT) {
        /* Of a handshake the first bytes will do. */
        if (read(connection->socket, &byte, 1) > 0) {
            count(&server->requests);
            while (read(connection->socket, &byte, 1) > 0) {
            }
        }
    } else {
        while (read_head(connection->socket)) {
            say(connection->socket, busy, sizeof busy - 1);
            count(&server->requests);
        }
    }
    shutdown(connection->socket, SHUT_RDWR);
    return NULL;
}

static void *take_connections(void *argument) {
    struct server *server = argument;
    for (int number = 0;; number++) {
        int socket = accept(server->listener, NULL, NULL);
        if (socket < 0 || __atomic_load_n(&server->is_over, __ATOMIC_SEQ_CST)) {
            if (socket >= 0) {
                close(socket);
            }
            return NULL;
        }
        struct connection *connection = malloc(sizeof *connection);
        *connection = (struct connection){.server = server, .socket = socket, .number = number, .older = server->newest};
        server->newest = connection;
        count(&server->connections);
        CHECK(pthread_create(&connection->thread, NULL, serve, connection) == 0);
    }
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    fcntl(client, F_SETFL, O_NONBLOCK);
    int connected = connect(client, (struct sockaddr *)&address, sizeof address);
    CHECK(connected == 0 || errno == EINPROGRESS);
    return client;
}

static struct server *start_server(enum kind kind) {
    struct server *server = calloc(1, sizeof *server);
    server->kind = kind;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    CHECK(bind(server->listener, (struct sockaddr *)&address, length) == 0);
    CHECK(listen(server->listener, kind == FULL ? 0 : 64) == 0);
    CHECK(getsockname(server->listener, (struct sockaddr *)&address, &length) == 0);
    server->port = ntohs(address.sin_port);
    if (kind == FULL) {
        for (int i = 0; i < 16; i++) {
            server->fillers[i] = connect_to(server->port);
        }
    } else {
        CHECK(pthread_create(&server->thread, NULL, take_connections, server) == 0);
    }
    return server;
}

static void stop_server(struct server *server) {
    __atomic_store_n(&server->is_over, 1, __ATOMIC_SEQ_CST);
    if (server->kind == FULL) {
        for (int i = 0; i < 16; i++) {
            close(server->fillers[i]);
        }
    } else {
        int last = connect_to(server->port);
        pthread_join(server->thread, NULL);
        close(last);
    }
    close(server->listener);
    while (server->newest) {
        struct connection *connection = server->newest;
        server->newest = connection->older;
        shutdown(connection->socket, SHUT_RDWR);
        pthread_join(connection->thread, NULL);
        close(connection->socket);
        free(connection);
    }
    free(server);
}

/* ---- what became of calls */

struct heard {
    int times[TROPHY_STATUS_PANIC + 1];
    int all;
};

static void hear(trophy_status status, const char *json, void *user_data) {
    struct heard *heard = user_data;
    CHECK(json != NULL);
    pthread_mutex_lock(&mutex);
    heard->times[status]++;
    heard->all++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

enum { CALLS = 6 };

struct phase {
    const char *name;
    enum kind kind;
    /* What the client's options are; %d is the port. */
    const char *options;
    /* Of the event; so that its request does not fit into a socket. */
    size_t user_length;
    /* All of one lane. */
    int one_lane;
};

static const struct phase PHASES[] = {
    {"connect", FULL, "{\"base_url\": \"http://127.0.0.1:%d\", \"workers\": 2}", 0, 0},
    {"tunnel", SILENT, "{\"base_url\": \"https://trophy.test\", \"proxy\": \"http://127.0.0.1:%d\", \"workers\": 2}", 0, 0},
    {"handshake", SILENT, "{\"base_url\": \"https://127.0.0.1:%d\", \"workers\": 2}", 0, 0},
    {"send", READER_OF_NOTHING, "{\"base_url\": \"http://127.0.0.1:%d\", \"workers\": 2}", 5 << 20, 0},
    {"receive", SILENT, "{\"base_url\": \"http://127.0.0.1:%d\", \"workers\": 2}", 0, 0},
    {"between retries", UNAVAILABLE, "{\"base_url\": \"http://127.0.0.1:%d\", \"max_retries\": 9, \"workers\": 2}", 0, 0},
    {"lane", SILENT, "{\"base_url\": \"http://127.0.0.1:%d\", \"workers\": 2}", 0, 1},
};
enum { MANY_PHASES = sizeof PHASES / sizeof *PHASES };

/* A user of that name, or of one so long. Owned. */
static char *user_of(const struct phase *phase, int number) {
    char *user = malloc(phase->user_length + 100);
    int length = sprintf(user, "{\"id\": \"u%d\", \"name\": \"", phase->one_lane ? 0 : number);
    memset(user + length, 'x', phase->user_length);
    strcpy(user + length + phase->user_length, "\"}");
    return user;
}

static trophy_client *client_of(const struct phase *phase, const struct server *server, const char *mode) {
    char options[400];
    /* Its last brace makes room for more. */
    int length = snprintf(options, sizeof options, phase->options, server->port);
    snprintf(options + length - 1, sizeof options - (size_t)length,
             ", \"callbacks\": \"%s\", \"timeout_in_seconds\": 600, \"attempt_timeout_in_seconds\": 600}", mode);
    return make_client(options);
}

struct blocking {
    const trophy_client *client;
    const struct phase *phase;
    int number;
    trophy_status status;
};

static void *block(void *argument) {
    struct blocking *blocking = argument;
    char *user = user_of(blocking->phase, blocking->number);
    blocking->status =
        trophy_metrics_event(blocking->client, "words", user, 1, NULL, NULL, NULL, NULL);
    free(user);
    return NULL;
}

static void begin(const trophy_client *client, const struct phase *phase, struct heard *heard) {
    for (int i = 0; i < CALLS; i++) {
        char *user = user_of(phase, i);
        CHECK_STATUS(trophy_metrics_event_async(client, "words", user, 1, NULL, NULL, NULL, hear, heard, NULL),
                     TROPHY_STATUS_OK);
        free(user);
    }
}

static void wait_for_phase(const struct phase *phase, struct server *server, const trophy_client *client) {
    if (phase->kind != FULL) {
        wait_for_count(&server->requests, 1);
        return;
    }
    for (double requests = 0; requests < 1;) {
        char *json = NULL;
        CHECK_STATUS(trophy_client_stats(client, &json), TROPHY_STATUS_OK);
        requests = trophy_json_number(json, "/requests", 0);
        trophy_string_free(json);
    }
}

/* Each call ends as cancelled, and none by its time, which Valgrind does not reach. */
static void calls_can_be_cancelled_in_every_phase(void) {
    for (int i = 0; i < 2 * MANY_PHASES; i++) {
        const struct phase *phase = &PHASES[i / 2];
        struct server *server = start_server(phase->kind);
        trophy_client *client = client_of(phase, server, i % 2 ? "dispatch" : "worker");
        struct heard heard = {0};
        begin(client, phase, &heard);
        wait_for_phase(phase, server, client);
        CHECK(trophy_client_cancel(client, &heard) == CALLS);
        CHECK(trophy_client_cancel(client, &heard) == 0);
        while (i % 2 && heard.all < CALLS) {
            trophy_client_dispatch(client, -1);
        }
        wait_for_count(&heard.all, CALLS);
        trophy_client_free(client);
        if (heard.times[TROPHY_STATUS_CANCELLED] != CALLS || heard.all != CALLS) {
            printf("in phase %s: %d heard, %d cancelled\n", phase->name, heard.all,
                   heard.times[TROPHY_STATUS_CANCELLED]);
            failed_checks++;
        }
        stop_server(server);
    }
}

static void a_close_and_a_free_end_calls_in_every_phase(void) {
    for (int i = 0; i < 4 * MANY_PHASES; i++) {
        const struct phase *phase = &PHASES[i / 4];
        struct server *server = start_server(phase->kind);
        trophy_client *client = client_of(phase, server, i % 2 ? "dispatch" : "worker");
        struct heard heard = {0};
        struct blocking blocking = {client, phase, 100, TROPHY_STATUS_OK};
        pthread_t thread;
        int is_close = i / 2 % 2;
        begin(client, phase, &heard);
        wait_for_phase(phase, server, client);
        if (is_close) {
            CHECK(pthread_create(&thread, NULL, block, &blocking) == 0);
            char *json = NULL;
            /* The blocking call may be there by then, or be refused. */
            CHECK_STATUS(trophy_client_close(client, 5, &json), TROPHY_STATUS_TIMEOUT);
            CHECK(trophy_json_number(json, "/cancelled", 0) >= (double)CALLS);
            trophy_string_free(json);
            pthread_join(thread, NULL);
            CHECK(blocking.status == TROPHY_STATUS_CANCELLED || blocking.status == TROPHY_STATUS_CLOSED);
        }
        trophy_client_free(client);
        if (heard.times[TROPHY_STATUS_CANCELLED] != CALLS || heard.all != CALLS) {
            printf("in phase %s: %d heard, %d cancelled\n", phase->name, heard.all,
                   heard.times[TROPHY_STATUS_CANCELLED]);
            failed_checks++;
        }
        stop_server(server);
    }
}

#ifndef _WIN32
static int exit_of(pid_t child) {
    int status = 0;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Valgrind would take for lost what lay on the stacks of the parent's threads, which the child does not have: so the
 * child becomes another program, of which it tells nothing. */
static void end_child(int is_well) {
    if (is_mode("valgrind")) {
        const char *program = is_well ? "true" : "false";
        execlp(program, program, (char *)NULL);
    }
    _exit(is_well ? 0 : 1);
}

static void a_child_that_is_forked_in_any_phase_can_close_and_free(void) {
    if (is_mode("asan")) {
        return; /* Its allocator may stay locked in a child: see scripts/test.sh. */
    }
    for (int i = 0; i < MANY_PHASES; i++) {
        const struct phase *phase = &PHASES[i];
        struct server *server = start_server(phase->kind);
        trophy_client *client = client_of(phase, server, "worker");
        struct heard heard = {0};
        begin(client, phase, &heard);
        wait_for_phase(phase, server, client);
        fflush(stdout);
        for (int way = 0; way < 3; way++) {
            pid_t child = fork();
            if (child == 0) {
                alarm(300);
                trophy_status status = TROPHY_STATUS_OK;
                if (way > 0) {
                    status = trophy_client_close(client, 0, NULL);
                }
                if (way > 1) {
                    trophy_client_free(client);
                }
                /* What the parent heard is not the child's to hear. */
                end_child(status == TROPHY_STATUS_OK && heard.all == 0);
            }
            CHECK(exit_of(child) == 0);
        }
        CHECK(heard.all == 0);
        trophy_client_free(client);
        CHECK(heard.times[TROPHY_STATUS_CANCELLED] == CALLS && heard.all == CALLS);
        stop_server(server);
    }
}

#endif

/* Returns with calls under way, on threads of the library and of the program: 7, or 1 if something was wrong. */
static int leave_in(const struct phase *phase) {
    static struct heard heard;
    static struct blocking blocking;
    struct server *server = start_server(phase->kind);
    trophy_client *client = client_of(phase, server, "worker");
    pthread_t thread;
    begin(client, phase, &heard);
    blocking = (struct blocking){client, phase, 100, TROPHY_STATUS_OK};
    CHECK(pthread_create(&thread, NULL, block, &blocking) == 0);
    CHECK_STATUS(trophy_metrics_event_enqueue(client, "words", "{\"id\":\"q\"}", 1, NULL, NULL, NULL, NULL),
                 TROPHY_STATUS_OK);
    wait_for_phase(phase, server, client);
    return failed_checks ? 1 : 7;
}

static const char *own_path;

/* The end of main() while calls are under way in every phase. */
static void a_program_can_end_in_every_phase(void) {
    if (!is_mode("plain")) {
        return; /* What it leaves behind is a leak to them. */
    }
    for (int i = 0; i < MANY_PHASES; i++) {
        fflush(stdout);
#ifdef _WIN32
        char number[12];
        sprintf(number, "%d", i);
        CHECK(exit_of_program(own_path, number, NULL) == 7);
#else
        pid_t child = fork();
        if (child == 0) {
            alarm(300);
            exit(leave_in(&PHASES[i]));
        }
        CHECK(exit_of(child) == 7);
#endif
    }
}

static void a_reply_that_is_cut_at_any_byte_ends_its_call_once(void) {
    struct server *server = start_server(CUTTER);
    char options[200];
    snprintf(options, sizeof options, "{\"base_url\": \"http://127.0.0.1:%d\", \"max_retries\": 0}", server->port);
    trophy_client *client = make_client(options);
    struct heard heard = {0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i <= REPLY_LENGTH; i++) {
            char *json = NULL;
            trophy_status status = trophy_users_get(client, "42", NULL, &json);
            if (status == TROPHY_STATUS_OK) {
                CHECK_JSON(json, "/id", "42");
            } else {
                CHECK(status == TROPHY_STATUS_NETWORK || status == TROPHY_STATUS_INVALID_RESPONSE);
                CHECK(trophy_json_string(json, "/id") == NULL);
            }
            heard.times[status]++;
            trophy_string_free(json);
        }
    }
    /* Only whole ones. */
    CHECK(heard.times[TROPHY_STATUS_OK] == 2);
    memset(&heard, 0, sizeof heard);
    for (int i = 0; i <= REPLY_LENGTH; i++) {
        CHECK_STATUS(trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, &heard, NULL),
                     TROPHY_STATUS_OK);
    }
    wait_for_count(&heard.all, REPLY_LENGTH + 1);
    trophy_client_free(client);
    CHECK(heard.all == REPLY_LENGTH + 1);
    CHECK(heard.times[TROPHY_STATUS_OK] == 1);
    stop_server(server);
}

/* Nothing reached the service, so that even what must not be sent twice is tried again. */
static void what_a_proxy_refuses_at_length_was_not_sent(void) {
    struct server *server = start_server(WORDY_PROXY);
    char options[200], *json = NULL;
    snprintf(options, sizeof options,
             "{\"base_url\": \"http://trophy.test\", \"allow_insecure_http\": true, \"max_retries\": 1, "
             "\"proxy\": \"http://127.0.0.1:%d\"}",
             server->port);
    trophy_client *client = make_client(options);
    CHECK_STATUS(trophy_achievements_complete(client, "first", "{\"id\": \"42\"}", NULL, &json), TROPHY_STATUS_OK);
    CHECK_JSON(json, "/id", "42");
    trophy_string_free(json);
    CHECK(server->connections == 2);
    trophy_client_free(client);
    stop_server(server);
}

static void *cancel_all_the_time(void *argument) {
    struct { trophy_client *client; struct heard *heard; int is_over; } *shared = argument;
    while (!__atomic_load_n(&shared->is_over, __ATOMIC_SEQ_CST)) {
        trophy_client_cancel(shared->client, shared->heard);
        trophy_client_dispatch(shared->client, 0);
    }
    return NULL;
}

static void calls_that_are_cancelled_while_they_begin_and_end_are_heard_once(void) {
    for (int i = 0; i < 2; i++) {
        struct server *server = start_server(UNAVAILABLE);
        trophy_client *client = client_of(&PHASES[5], server, i ? "dispatch" : "worker");
        static struct heard heard;
        static struct { trophy_client *client; struct heard *heard; int is_over; } shared;
        memset(&heard, 0, sizeof heard);
        shared.client = client;
        shared.heard = &heard;
        shared.is_over = 0;
        pthread_t threads[3];
        for (int thread = 0; thread < 3; thread++) {
            CHECK(pthread_create(&threads[thread], NULL, cancel_all_the_time, &shared) == 0);
        }
        for (int round = 0; round < 30; round++) {
            begin(client, &PHASES[round % 2 ? 5 : 6], &heard);
        }
        wait_for_count(&heard.all, 30 * CALLS);
        __atomic_store_n(&shared.is_over, 1, __ATOMIC_SEQ_CST);
        for (int thread = 0; thread < 3; thread++) {
            pthread_join(threads[thread], NULL);
        }
        trophy_client_free(client);
        CHECK(heard.all == 30 * CALLS && heard.times[TROPHY_STATUS_CANCELLED] == 30 * CALLS);
        stop_server(server);
    }
}

int main(int argc, char **argv) {
    if (argc > 1) {
        alarm(300);
        return leave_in(&PHASES[atoi(argv[1])]);
    }
    own_path = argv[0];
    RUN(calls_can_be_cancelled_in_every_phase);
    RUN(a_close_and_a_free_end_calls_in_every_phase);
#ifndef _WIN32
    RUN(a_child_that_is_forked_in_any_phase_can_close_and_free);
#endif
    RUN(a_program_can_end_in_every_phase);
    RUN(a_reply_that_is_cut_at_any_byte_ends_its_call_once);
    RUN(what_a_proxy_refuses_at_length_was_not_sent);
    RUN(calls_that_are_cancelled_while_they_begin_and_end_are_heard_once);
    return RESULT;
}
