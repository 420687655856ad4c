/* The loop of a peer: "COUNT PAUSE_MS" on stdin, a line of JSON on stdout. */
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
    peer_begin(argv[1], argc > 2 ? argv[2] : NULL);
    char line[64];
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
        report(wall_ns() - wall, cpu_ns() - cpu, "");
    }
    return 0;
}
