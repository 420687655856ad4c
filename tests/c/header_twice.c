/* The header stands alone and may come twice. As strict as C99 gets. */
#include <trophy.h>
#include <trophy.h>

int header_twice(void);

int header_twice(void) {
    return TROPHY_STATUS_OK;
}
