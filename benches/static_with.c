/* With static_without.c: what linking libtrophy.a adds to a program that sends events. */
#include <stdio.h>
#include <trophy.h>

int main(void)
{
    trophy_client *client = NULL;
    char *json = NULL;
    if (trophy_client_new(NULL, NULL, &client, &json) == TROPHY_STATUS_OK) {
        trophy_string_free(json);
        trophy_metrics_event(client, "words-written", "{\"id\": \"42\"}", 120, NULL, NULL, NULL, &json);
    }
    puts(json);
    trophy_string_free(json);
    trophy_client_free(client);
    return 0;
}
