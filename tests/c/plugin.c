/* A plug-in with a global client, which its destructor frees: on Windows that is in DllMain, with the loader's lock
 * held, and where the process ends, once all other threads are gone. */
#include <stdio.h>
#include <trophy.h>
#ifdef _WIN32
#include <windows.h>
#define EXPORTED __declspec(dllexport)
#else
#include <unistd.h>
#define EXPORTED __attribute__((visibility("default")))
#endif

static trophy_client *client;
static int started, ended;

static void hear(trophy_status status, const char *json, void *user_data) {
    (void)status, (void)json, (void)user_data;
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

EXPORTED int plugin_start(void);
int plugin_start(void) {
    if (trophy_client_new(NULL, "{\"workers\":2}", &client, NULL) != TROPHY_STATUS_OK) {
        return 0;
    }
    for (int i = 0; i < 8; i++) {
        started += trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, NULL, NULL) == TROPHY_STATUS_OK;
    }
    return started == 8;
}

#ifdef _WIN32
static void never_return(trophy_status status, const char *json, void *user_data) {
    hear(status, json, user_data);
    Sleep(INFINITE);
}

static void never_return_from_a_line(trophy_log_level level, const char *message, void *user_data) {
    (void)level, (void)message;
    SetEvent((HANDLE)user_data);
    Sleep(INFINITE);
}

static int ends_with_the_process;

/* The threads of the library are inside callbacks that do not return when the process ends. */
EXPORTED int plugin_hang(void);
int plugin_hang(void) {
    HANDLE logged = CreateEventA(NULL, TRUE, FALSE, NULL);
    ends_with_the_process = 1;
    if (trophy_client_new(NULL, NULL, &client, NULL) != TROPHY_STATUS_OK) {
        return 0;
    }
    trophy_client_on_delivery(client, never_return, NULL);
    if (trophy_metrics_event_enqueue(client, "words", "{\"id\":\"42\"}", 1, NULL, NULL, NULL, NULL) != TROPHY_STATUS_OK) {
        return 0;
    }
    for (int i = 0; i < 60000 && !__atomic_load_n(&ended, __ATOMIC_SEQ_CST); i++) {
        Sleep(1);
    }
    trophy_log_set_callback(TROPHY_LOG_LEVEL_DEBUG, never_return_from_a_line, logged);
    return ended == 1 && trophy_call_async(client, TROPHY_OP_USERS_GET, "{\"id\":\"42\"}", hear, NULL, NULL) == TROPHY_STATUS_OK
        && WaitForSingleObject(logged, 60000) == WAIT_OBJECT_0;
}
#endif

__attribute__((destructor)) static void stop(void) {
    if (client == NULL) {
        return;
    }
#ifdef _WIN32
    if (ends_with_the_process) {
        trophy_log_set_callback(TROPHY_LOG_LEVEL_OFF, NULL, NULL);
        trophy_client_on_delivery(client, NULL, NULL);
        if (trophy_client_flush(client, -1, NULL) != TROPHY_STATUS_TIMEOUT
            || trophy_client_close(client, -1, NULL) != TROPHY_STATUS_TIMEOUT) {
            TerminateProcess(GetCurrentProcess(), 3);
        }
        trophy_client_free(client);
        return;
    }
#endif
    trophy_client_free(client);
    if (ended != started) {
        printf("not true: %d callbacks of %d calls\n", ended, started);
        fflush(stdout);
        _exit(2);
    }
}
