/* Sends events through the library: send USER_JSON METRIC VALUE [COUNT]. */
#include <stdio.h>
#include <stdlib.h>
#include <trophy.h>

int main(int count, char **words) {
    trophy_client *client = NULL;
    char *json = NULL;
    if (count < 4) {
        return 2;
    }
    trophy_status status = trophy_client_new(NULL, NULL, &client, &json);
    int events = count > 4 ? atoi(words[4]) : 1;
    for (int i = 0; i < events && status == TROPHY_STATUS_OK; i++) {
        trophy_string_free(json);
        status = trophy_metrics_event(client, words[2], words[1], atof(words[3]), NULL, NULL, NULL, &json);
    }
    puts(json);
    trophy_string_free(json);
    trophy_client_free(client);
    return status == TROPHY_STATUS_OK ? 0 : 1;
}
