/* Reads pictures in place, as the publisher wrote them: subscriber [NAME [COUNT]]. */

#include <coview.h>

#include <stdio.h>
#include <stdlib.h>

static void check(coview_status status, const char *what) {
    if (status != COVIEW_OK) {
        fprintf(stderr, "%s: %s\n", what, coview_last_error());
        exit(1);
    }
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "Camera";
    int count = argc > 2 ? atoi(argv[2]) : 10;

    coview_frames *camera;
    coview_subscriber *subscriber;
    check(coview_frames_open(name, &camera), "frames");
    check(coview_subscriber_open(camera, COVIEW_DROP_OLDEST, &subscriber), "subscriber");

    for (int i = 0; i < count; i++) {
        const coview_frame *picture;
        coview_status status = coview_subscriber_receive(subscriber, COVIEW_FOREVER, &picture);
        if (status == COVIEW_PEER_DIED) {
            printf("the publisher died\n");
            break;
        }
        check(status, "receive");
        const unsigned char *pixels = picture->data;
        printf("picture %d: %zu bytes of %d\n", (int)picture->number, picture->len, pixels[picture->len - 1]);
        fflush(stdout);
        check(coview_subscriber_release(subscriber, picture), "release");
    }
    coview_subscriber_close(subscriber);
    coview_frames_close(camera);
    return 0;
}
