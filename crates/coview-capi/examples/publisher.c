/* Publishes a picture a second, in shared memory: publisher [NAME]. Start any number of subscribers beside it, before or after. */

#include <coview.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(coview_status status, const char *what) {
    if (status != COVIEW_OK) {
        fprintf(stderr, "%s: %s\n", what, coview_last_error());
        exit(1);
    }
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "Camera";
    int pictures = argc > 2 ? atoi(argv[2]) : 60;
    const size_t size = 640 * 480 * 3;

    coview_frames_options options = {.struct_size = sizeof options, .slot = size};
    coview_frames *camera;
    coview_publisher *publisher;
    coview_event *tick;
    char tick_name[300];
    check(coview_frames_open_or_create(name, &options, &camera), "frames");
    check(coview_publisher_open(camera, &publisher), "publisher");
    snprintf(tick_name, sizeof tick_name, "%s-stop", name);
    check(coview_event_open_or_create(tick_name, NULL, &tick, NULL), "event");

    for (int i = 1; i <= pictures; i++) {
        coview_loan *loan;
        check(coview_publisher_loan(publisher, size, COVIEW_FOREVER, &loan), "loan");
        memset(loan->data, i, loan->len); /* written where subscribers read it */
        check(coview_publisher_publish(publisher, loan, COVIEW_FOREVER), "publish");
        printf("published %d\n", i);
        fflush(stdout);
        if (coview_event_wait(tick, 1000) == COVIEW_OK) {
            break; /* somebody wants us to stop */
        }
    }
    coview_event_close(tick);
    coview_publisher_close(publisher);
    coview_frames_close(camera);
    return 0;
}
