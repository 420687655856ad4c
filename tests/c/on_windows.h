/* What the programs use of POSIX, on Windows. */
#ifndef ON_WINDOWS_H
#define ON_WINDOWS_H

/* The warnings that the tests turn on are meant for what uses this. */
#pragma GCC system_header

/* Of windows.h only what is used: it has macros of everyday names. */
#define WIN32_LEAN_AND_MEAN
#define NOGDI
#define NOMINMAX
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- alarm() */

static volatile LONG alarm_at;

static inline void wait_for_alarm(void *unused) {
    (void)unused;
    for (;;) {
        Sleep(1000);
        LONG at = alarm_at;
        if (at != 0 && (LONG)(GetTickCount() / 1000) > at) {
            TerminateProcess(GetCurrentProcess(), 14);
        }
    }
}

static inline void alarm(unsigned seconds) {
    static int is_watched;
    alarm_at = (LONG)(GetTickCount() / 1000 + seconds);
    if (!is_watched) {
        is_watched = 1;
        _beginthread(wait_for_alarm, 0, NULL);
    }
}

/* ---- programs */

static inline int is_wine(void) {
    return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
}

/* What a program returns that ends while threads of its own run; -1 if it hangs. Wine 8 leaves such a process now and
 * then, where one of the threads was ended with a lock of Wine's own: there it has three tries. */
static inline int exit_of_program(const char *path, const char *first, const char *second) {
    for (int tries = is_wine() ? 3 : 1; tries > 0; tries--) {
        intptr_t spawned = _spawnl(_P_NOWAIT, path, path, first, second, NULL);
        HANDLE process = (HANDLE)spawned;
        DWORD code = 0;
        if (spawned == -1) {
            printf("cannot be run: %s %s\n", path, first);
            return -1;
        }
        int has_ended = WaitForSingleObject(process, 100000) == WAIT_OBJECT_0 && GetExitCodeProcess(process, &code);
        if (!has_ended) {
            TerminateProcess(process, 14);
            printf("hangs at its end: %s %s\n", path, first);
        }
        CloseHandle(process);
        if (has_ended) {
            return (int)code;
        }
    }
    return -1;
}

/* ---- folders */

static inline char *mkdtemp(char *path) {
    return _mktemp(path) != NULL && _mkdir(path) == 0 ? path : NULL;
}

#define mkdir(path, mode) _mkdir(path)

/* ---- sockets, as the small numbers that they are elsewhere */
#ifdef WITH_SOCKETS

#define MSG_NOSIGNAL 0
#define O_NONBLOCK 1
#define F_SETFL 1

static inline int own_result(int result) {
    if (result < 0) {
        errno = WSAGetLastError() == WSAEWOULDBLOCK ? EINPROGRESS : EIO;
    }
    return result;
}

static inline int own_socket(int domain, int type, int protocol) {
    WSADATA data;
    WSAStartup(MAKEWORD(2, 2), &data);
    return (int)socket(domain, type, protocol);
}

static inline int own_accept(int listener) {
    return (int)accept((SOCKET)listener, NULL, NULL);
}

static inline int set_non_blocking(int socket) {
    u_long yes = 1;
    return own_result(ioctlsocket((SOCKET)socket, (long)FIONBIO, &yes));
}

/* Two ends of a connection: what is written to the second is read from the first. */
static inline int own_pipe(int ends[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int length = sizeof address;
    int listener = own_socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind((SOCKET)listener, (struct sockaddr *)&address, length);
    listen((SOCKET)listener, 1);
    getsockname((SOCKET)listener, (struct sockaddr *)&address, &length);
    ends[1] = own_socket(AF_INET, SOCK_STREAM, 0);
    connect((SOCKET)ends[1], (struct sockaddr *)&address, length);
    ends[0] = own_accept(listener);
    closesocket((SOCKET)listener);
    return ends[0] < 0 ? -1 : 0;
}

#define socket(domain, type, protocol) own_socket(domain, type, protocol)
#define accept(listener, address, length) own_accept(listener)
#define connect(socket, address, length) own_result(connect((SOCKET)(socket), address, (int)(length)))
#define bind(socket, address, length) bind((SOCKET)(socket), address, (int)(length))
#define listen(socket, backlog) listen((SOCKET)(socket), backlog)
#define getsockname(socket, address, length) getsockname((SOCKET)(socket), address, length)
#define fcntl(socket, command, flag) set_non_blocking(socket)
#define send(socket, bytes, length, flags) send((SOCKET)(socket), bytes, (int)(length), flags)
#define recv(socket, bytes, length, flags) recv((SOCKET)(socket), bytes, (int)(length), flags)
#define read(socket, bytes, length) recv(socket, bytes, length, 0)
#define write(socket, bytes, length) send(socket, bytes, length, 0)
#define close(socket) closesocket((SOCKET)(socket))
#define shutdown(socket, how) shutdown((SOCKET)(socket), (how))
#define SHUT_RDWR SD_BOTH
#define pipe(ends) own_pipe(ends)
#define pollfd own_pollfd
struct own_pollfd {
    int fd;
    short events, revents;
};

static inline int poll(struct own_pollfd *polled, unsigned many, int milliseconds) {
    WSAPOLLFD own = {.fd = (SOCKET)polled->fd, .events = polled->events};
    int amount = WSAPoll(&own, many, milliseconds);
    polled->revents = own.revents;
    return amount;
}
#endif

#endif
