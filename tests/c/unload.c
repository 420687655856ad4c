/* Loaded at run time, used, freed and unloaded, over and over: as plug-ins and other languages do. Calls no
 * function by name, so that the program itself is not linked with the library. Growth is for the sanitizers. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <trophy.h>
#ifdef _WIN32
#include <pthread.h>
#include <windows.h>

static void *load(void) {
    return (void *)LoadLibraryA("trophy.dll");
}

static void *look_up(void *library, const char *name) {
    FARPROC function = GetProcAddress((HMODULE)library, name);
    void *symbol;
    memcpy(&symbol, &function, sizeof symbol);
    return symbol;
}

static int unload(void *library) {
    return FreeLibrary((HMODULE)library) != 0;
}
#else
#include <dlfcn.h>

static void *load(void) {
    void *library = dlopen("libtrophy.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        printf("%s\n", dlerror());
    }
    return library;
}

static void *look_up(void *library, const char *name) {
    return dlsym(library, name);
}

static int unload(void *library) {
    return dlclose(library) == 0;
}
#endif

static int failed_checks;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            failed_checks++; \
        } \
    } while (0)

typedef trophy_status (*make)(const char *, const char *, trophy_client **, char **);
typedef trophy_status (*call)(const trophy_client *, const char *, const char *, char **);
typedef trophy_status (*call_async)(const trophy_client *, const char *, const char *, trophy_callback, void *, char **);
typedef void (*release)(trophy_client *);

/* A function pointer, to which C does not convert. */
static void find(void *library, const char *name, void *function) {
    void *symbol = look_up(library, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

static void load_use_and_unload(void) {
    for (int i = 0; i < 100; i++) {
        trophy_client *client = NULL;
        make client_new;
        call users_get;
        release client_free;
        void *library = load();
        CHECK(library != NULL);
        if (library == NULL) {
            return;
        }
        find(library, "trophy_client_new", &client_new);
        find(library, "trophy_users_get", &users_get);
        find(library, "trophy_client_free", &client_free);
        CHECK(client_new(NULL, NULL, &client, NULL) == TROPHY_STATUS_OK);
        CHECK(users_get(client, "42", NULL, NULL) == TROPHY_STATUS_OK);
        client_free(client);
        CHECK(unload(library));
    }
}

static void hear(trophy_status status, const char *json, void *user_data) {
    (void)json;
    CHECK(status == TROPHY_STATUS_OK);
    __atomic_store_n((int *)user_data, 1, __ATOMIC_SEQ_CST);
}

/* The threads of a client that lives run on in a library that stays. */
static void unload_with_a_client_that_lives(void) {
    trophy_client *client = NULL;
    int heard = 0;
    make client_new;
    call_async start;
    release client_free;
    void *library = load();
    CHECK(library != NULL);
    find(library, "trophy_client_new", &client_new);
    find(library, "trophy_call_async", &start);
    find(library, "trophy_client_free", &client_free);
    CHECK(client_new(NULL, NULL, &client, NULL) == TROPHY_STATUS_OK);
    CHECK(start(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, &heard, NULL) == TROPHY_STATUS_OK);
    CHECK(unload(library));
    for (int i = 0; i < 60000 && !__atomic_load_n(&heard, __ATOMIC_SEQ_CST); i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    CHECK(heard);
    client_free(client);
}

int main(void) {
    load_use_and_unload();
    unload_with_a_client_that_lives();
    printf("%s load_use_and_unload\n", failed_checks ? "FAILED" : "ok    ");
    return failed_checks ? 1 : 0;
}
