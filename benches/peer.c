/* The loop of a peer: "COUNT PAUSE_MS" on stdin, a line of JSON on stdout. `since_start_ns`: from before it began. */
#include "peer.h"

#include <stdlib.h>
#include <unistd.h>

#include "measure.h"

void fail(const char *what, const char *more)
{
    fprintf(stderr, "%s: %s\n", what, more);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        fail(argv[0], "usage: URL [CA_FILE] < rounds");
    uint64_t start = wall_ns(), start_cpu = cpu_ns();
    peer_begin(argv[1], argc > 2 ? argv[2] : NULL);
    char line[64], more[128];
    unsigned number = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned count = 0, pause_ms = 0;
        sscanf(line, "%u %u", &count, &pause_ms);
        uint64_t wall = wall_ns(), cpu = cpu_ns();
        for (unsigned i = 0; i < count; i++) {
            if (pause_ms > 0)
                usleep(pause_ms * 1000);
            peer_event(number++);
        }
        uint64_t end = wall_ns(), end_cpu = cpu_ns();
        snprintf(more, sizeof more, ",\"since_start_ns\":%llu,\"since_start_cpu_ns\":%llu",
                 (unsigned long long)(end - start), (unsigned long long)(end_cpu - start_cpu));
        report(end - wall, end_cpu - cpu, more);
    }
    return 0;
}
