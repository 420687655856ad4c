/* Loads the plug-in that is its argument, and lets go of it: by itself, or with the process. Calls nothing of the
 * library itself. */
#include <stdio.h>
#include <string.h>
#ifdef _WIN32
#include "on_windows.h"
#include <tlhelp32.h>

static int threads(void) {
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 thread = {.dwSize = sizeof thread};
    int many = 0;
    for (BOOL more = Thread32First(all, &thread); more; more = Thread32Next(all, &thread)) {
        many += thread.th32OwnerProcessID == GetCurrentProcessId();
    }
    CloseHandle(all);
    return many;
}
#else
#include <dirent.h>
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

static int threads(void) {
    DIR *all = opendir("/proc/self/task");
    int many = 0;
    while (all != NULL && readdir(all) != NULL) {
        many++;
    }
    if (all != NULL) {
        closedir(all);
    }
    return many;
}

static void Sleep(int milliseconds) {
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000L}, NULL);
}
#endif

int main(int argc, char **argv) {
    int (*start)(void);
    const char *name = argc > 2 ? "plugin_hang" : "plugin_start";
    if (argc < 2) {
        return 1;
    }
#ifdef _WIN32
    if (argc > 2 && strcmp(argv[2], "with-the-process") == 0) {
        return exit_of_program(argv[0], argv[1], "ending");
    }
#endif
    /* What hangs is ended. */
    alarm(600);
    int before = threads();
#ifdef _WIN32
    HMODULE plugin = LoadLibraryA(argv[1]);
    if (plugin == NULL) {
        printf("LoadLibrary: %lu\n", GetLastError());
        return 1;
    }
    FARPROC symbol = GetProcAddress(plugin, name);
#else
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) {
        printf("%s\n", dlerror());
        return 1;
    }
    void *symbol = dlsym(plugin, name);
#endif
    if (symbol == NULL) {
        printf("no %s\n", name);
        return 1;
    }
    memcpy(&start, &symbol, sizeof start);
    if (!start()) {
        printf("not true: %s()\n", name);
        return 1;
    }
    if (argc > 2) {
        return 0;
    }
#ifdef _WIN32
    int is_unloaded = FreeLibrary(plugin);
#else
    int is_unloaded = dlclose(plugin) == 0;
#endif
    /* They end when the loader lets them. */
    for (int i = 0; i < 60000 && threads() > before; i++) {
        Sleep(1);
    }
    if (!is_unloaded || threads() > before) {
        printf("not true: it is unloaded, and its threads have ended\n");
        return 1;
    }
    return 0;
}
