/* Named cases and checks. A failed check prints where it is; the program then ends with 1. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <trophy.h>
#include <unistd.h>
#ifdef _WIN32
#include "on_windows.h"
#endif

static int failed_checks;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            failed_checks++; \
        } \
    } while (0)

#define CHECK_STATUS(actual, expected) check_status(__FILE__, __LINE__, (actual), (expected))
/* Whether the value at `pointer` in `json` is `expected`. */
#define CHECK_JSON(json, pointer, expected) check_json(__FILE__, __LINE__, (json), (pointer), (expected))
/* Whether the text holds the part. */
#define CHECK_HOLDS(text, part) check_holds(__FILE__, __LINE__, (text), (part), 1)
#define CHECK_HOLDS_NOT(text, part) check_holds(__FILE__, __LINE__, (text), (part), 0)

/* "plain", "asan" or "valgrind". */
static inline int is_mode(const char *name) {
    const char *mode = getenv("TROPHY_C_MODE");
    return strcmp(mode == NULL ? "plain" : mode, name) == 0;
}

/* Valgrind takes thirty times as long, and so may an emulator. */
static inline unsigned longest_seconds(void) {
    const char *emulator = getenv("TROPHY_C_RUN");
    return is_mode("valgrind") || (emulator != NULL && *emulator != 0) ? 1200 : 600;
}

/* A case that hangs is ended by its alarm, and fails. */
#define RUN(name) \
    do { \
        int before = failed_checks; \
        alarm(longest_seconds()); \
        name(); \
        printf("%s %s\n", failed_checks == before ? "ok    " : "FAILED", #name); \
        fflush(stdout); \
    } while (0)

#define RESULT (failed_checks ? 1 : 0)

static inline void check_status(const char *file, int line, trophy_status actual, trophy_status expected) {
    if (actual != expected) {
        printf("%s:%d: %s, not %s\n", file, line, trophy_status_name(actual), trophy_status_name(expected));
        failed_checks++;
    }
}

static inline void check_json(const char *file, int line, const char *json, const char *pointer,
                              const char *expected) {
    char *actual = trophy_json_string(json, pointer);
    if (actual == NULL ? expected != NULL : expected == NULL || strcmp(actual, expected) != 0) {
        printf("%s:%d: %s is %s, not %s, in %s\n", file, line, pointer, actual ? actual : "absent",
               expected ? expected : "absent", json ? json : "NULL");
        failed_checks++;
    }
    trophy_string_free(actual);
}

static inline void check_holds(const char *file, int line, const char *text, const char *part, int expected) {
    int holds = text != NULL && strstr(text, part) != NULL;
    if (holds != expected) {
        printf("%s:%d: %s \"%s\": %s\n", file, line, expected ? "does not hold" : "holds", part,
               text ? text : "NULL");
        failed_checks++;
    }
}

/* A client as the environment says, with `options`. Without one there is nothing to test. */
static inline trophy_client *make_client(const char *options) {
    trophy_client *client = NULL;
    char *json = NULL;
    if (trophy_client_new(NULL, options, &client, &json) != TROPHY_STATUS_OK) {
        printf("no client: %s\n", json);
        exit(1);
    }
    trophy_string_free(json);
    return client;
}

#endif
