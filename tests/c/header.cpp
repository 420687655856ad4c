// The header in C++: statuses are a real enum, and functions have C's linkage.
#include <trophy.h>
#include <trophy.h>

static_assert(sizeof(trophy_status) == 4, "an int32_t, as in C");
static_assert(TROPHY_STATUS_PANIC == 99, "numbers are fixed");

const char *name_of(trophy_status status);

const char *name_of(trophy_status status) {
    switch (status) {
        case TROPHY_STATUS_OK:
            return "fine";
        default:
            return trophy_status_name(status);
    }
}
