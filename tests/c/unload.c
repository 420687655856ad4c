/* Loaded at run time, used, freed and unloaded, over and over: as plug-ins and other languages do. Calls no
 * function by name, so that the program itself is not linked with the library. Growth is for the sanitizers. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <trophy.h>

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
typedef void (*release)(trophy_client *);

/* A function pointer from dlsym(), which C does not convert. */
static void find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol);
}

static void load_use_and_unload(void) {
    for (int i = 0; i < 100; i++) {
        trophy_client *client = NULL;
        make client_new;
        call users_get;
        release client_free;
        void *library = dlopen("libtrophy.so.1", RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL);
        if (library == NULL) {
            printf("%s\n", dlerror());
            return;
        }
        find(library, "trophy_client_new", &client_new);
        find(library, "trophy_users_get", &users_get);
        find(library, "trophy_client_free", &client_free);
        CHECK(client_new(NULL, NULL, &client, NULL) == TROPHY_STATUS_OK);
        CHECK(users_get(client, "42", NULL, NULL) == TROPHY_STATUS_OK);
        client_free(client);
        CHECK(dlclose(library) == 0);
    }
}

int main(void) {
    load_use_and_unload();
    printf("%s load_use_and_unload\n", failed_checks ? "FAILED" : "ok    ");
    return failed_checks ? 1 : 0;
}
