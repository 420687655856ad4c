#include <stdio.h>
#include <trophy.h>

int main(void) {
    trophy_client *client = NULL;
    trophy_status status = trophy_client_new("public.secret", NULL, &client, NULL);
    printf("libtrophy %s: %s\n", trophy_version(), trophy_status_name(status));
    trophy_client_free(client);
    return status == TROPHY_STATUS_OK ? 0 : 1;
}
