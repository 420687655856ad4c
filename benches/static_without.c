/* See static_with.c. */
#include <stdio.h>

int main(void)
{
    puts("");
    return 0;
}
