/* Loads the plug-in that is its argument, and lets go of it: by itself, or with the process. Calls nothing of the
 * library itself. */
#include <stdio.h>
#include <string.h>
#ifdef _WIN32
#include "on_windows.h"
#else
#include <dlfcn.h>
#include <unistd.h>
#endif

int main(int argc, char **argv) {
    int (*start)(void);
    const char *name = argc > 2 ? "plugin_hang" : "plugin_start";
    if (argc < 2) {
        return 1;
    }
    /* What hangs is ended. */
    alarm(100);
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
    return FreeLibrary(plugin) ? 0 : 1;
#else
    return dlclose(plugin) == 0 ? 0 : 1;
#endif
}
