/* The one function of Windows's bcryptprimitives.dll that Rust's standard library calls, for a wine older than 9, which
 * has no such library. Part of the tests, not of what ships. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length);

BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length) {
    return RtlGenRandom(bytes, (ULONG)length);
}
