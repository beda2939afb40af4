/* The C end of test_languages.py: takes a region, a record and a frame of one stage, makes those of the next. */
#include <coview.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct student { int32_t id; char name[20]; } student;

static const coview_field fields[] = {
    COVIEW_FIELD(student, id, COVIEW_TYPE_I32),
    COVIEW_FIELD_ARRAY(student, name, COVIEW_TYPE_U8, 20),
};
static const coview_layout layout = COVIEW_LAYOUT_RECORD(student, "Student", fields);

static void must(coview_status status) {
    if (status != COVIEW_OK) {
        fprintf(stderr, "%s\n", coview_last_error());
        exit(1);
    }
}

static const char *name;

static const char *of(const char *kind, int stage) {
    static char full[256];
    snprintf(full, sizeof full, "%s-%s-%d", name, kind, stage);
    return full;
}

static void regions(int stage, coview_region **made) {
    coview_region *region;
    student value;
    must(coview_region_open(of("region", stage), &layout, NULL, &region));
    must(coview_region_read(region, 0, &value, sizeof value));
    value.id = -value.id;
    must(coview_region_write(region, 0, &value, sizeof value));
    value.id = -value.id * 2;
    must(coview_region_create(of("region", stage + 1), &layout, &value, NULL, made));
    coview_region_close(region);
}

static void rings(int stage, coview_ring **made) {
    coview_ring *ring;
    coview_receiver *receiver;
    coview_sender *sender;
    const void *data;
    size_t len;
    char record[256];
    must(coview_ring_open(of("ring", stage), &ring));
    must(coview_receiver_open(ring, &receiver));
    must(coview_receiver_receive(receiver, 30000, &data, &len));
    memcpy(record, data, len);
    memcpy(record + len, ", C", 3);
    must(coview_ring_create(of("ring", stage + 1), NULL, made));
    must(coview_sender_open(*made, &sender));
    must(coview_sender_send(sender, record, len + 3, 30000));
    coview_sender_close(sender);
    coview_receiver_close(receiver);
    coview_ring_close(ring);
}

static void pictures(int stage, coview_frames **made) {
    coview_frames *frames;
    coview_subscriber *subscriber;
    coview_publisher *publisher;
    const coview_frame *frame;
    unsigned char copy[4096];
    must(coview_frames_open(of("frames", stage), &frames));
    must(coview_subscriber_open(frames, COVIEW_EVERY_FRAME, &subscriber));
    must(coview_subscriber_receive(subscriber, 30000, &frame));
    memcpy(copy, frame->data, frame->len);
    for (int i = 0; i < 100; i++) copy[i]++;
    must(coview_frames_create(of("frames", stage + 1), NULL, made));
    must(coview_publisher_open(*made, &publisher));
    must(coview_publisher_send(publisher, copy, frame->len, 30000));
    coview_publisher_close(publisher);
    coview_subscriber_close(subscriber);
    coview_frames_close(frames);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    name = argv[1];
    int stage = atoi(argv[2]);
    coview_region *region;
    coview_ring *ring;
    coview_frames *frames;
    regions(stage, &region);
    rings(stage, &ring);
    pictures(stage, &frames);
    puts("done");
    fflush(stdout);
    getchar();
    coview_region_close(region);
    coview_ring_close(ring);
    coview_frames_close(frames);
    return 0;
}
