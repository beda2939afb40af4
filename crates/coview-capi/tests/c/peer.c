/* One side of a pair of processes: peer VERB NAME [NUMBER]. It prints what it sees; a line on its input lets it go on. */

#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <unistd.h>

static const coview_layout triple_layout = COVIEW_LAYOUT_ARRAY(COVIEW_TYPE_U64, 3);

static void say(const char *line) {
    puts(line);
    fflush(stdout);
}

static void go_on(void) {
    char line[16];
    say("ready");
    if (!fgets(line, sizeof line, stdin)) {
        exit(0);
    }
}

static void mapping_write(const char *name) {
    coview_mapping *mapping;
    coview_view *view;
    OK(coview_mapping_create(name, 4096, NULL, &mapping));
    OK(coview_view_open(mapping, COVIEW_READ_WRITE, 100, 0, &view));
    OK(coview_view_write(view, 0, "from C", 7));
    TRUE(strcmp((const char *)coview_view_data(view), "from C") == 0);
    coview_mapping_close(mapping); /* the view keeps it */
    go_on();
    coview_view_close(view);
}

static void mapping_read(const char *name) {
    coview_mapping *mapping;
    coview_view *view;
    char text[32];
    OK(coview_mapping_open(name, COVIEW_READ, &mapping));
    TRUE(coview_mapping_access(mapping) == COVIEW_READ);
    EXPECT(COVIEW_ACCESS_DENIED, coview_view_open(mapping, COVIEW_READ_WRITE, 0, 0, &view));
    TRUE(view == NULL);
    OK(coview_view_open(mapping, COVIEW_READ, 0, 0, &view));
    OK(coview_view_read(view, 0, text, sizeof text));
    EXPECT(COVIEW_ACCESS_DENIED, coview_view_write(view, 0, "x", 1));
    say(text);
    coview_view_close(view);
    coview_mapping_close(mapping);
}

static void region_create(const char *name) {
    coview_region *region;
    student value = {99041232, "SecBug"};
    OK(coview_region_create(name, &student_layout, &value, NULL, &region));
    TRUE(coview_region_len(region) == sizeof value);
    go_on();
    OK(coview_region_read(region, 0, &value, sizeof value));
    printf("%d %s\n", (int)value.id, value.name);
    coview_region_close(region);
}

static void region_read(const char *name) {
    coview_region *region;
    coview_region_options options = {0};
    student value;
    char text[200];
    options.struct_size = sizeof options;
    options.access = COVIEW_READ;
    options.timeout_ms = 60000;
    OK(coview_region_open(name, &student_layout, &options, &region));
    OK(coview_region_read(region, 0, &value, sizeof value));
    EXPECT(COVIEW_ACCESS_DENIED, coview_region_write(region, 0, &value, sizeof value));
    printf("%d %s\n", (int)value.id, value.name);
    coview_region_close(region);

    EXPECT(COVIEW_WRONG_LAYOUT, coview_region_open(name, &triple_layout, &options, &region));
    printf("%s\n", coview_last_error());
    OK(coview_region_describe(name, text, sizeof text, NULL));
    printf("%s\n", text);
    OK(coview_region_open(name, NULL, &options, &region));
    TRUE(coview_region_len(region) == sizeof value);
    coview_region_close(region);
}

static void latest_write(const char *name, uint64_t count) {
    coview_latest *latest;
    coview_writer *writer;
    OK(coview_latest_open_or_create(name, &triple_layout, NULL, &latest));
    TRUE(coview_latest_len(latest) == 24);
    OK(coview_writer_open(latest, &writer));
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t value[3] = {i, 2 * i, 3 * i};
        OK(coview_writer_set(writer, value, sizeof value));
    }
    go_on();
    coview_writer_close(writer);
    coview_latest_close(latest);
}

static void latest_read(const char *name, uint64_t until) {
    coview_latest *latest;
    coview_reader *reader;
    uint64_t value[3] = {0, 0, 0};
    OK(coview_latest_open(name, &triple_layout, &latest));
    OK(coview_reader_open(latest, &reader));
    EXPECT(COVIEW_NONE, coview_reader_read(reader, value, sizeof value));
    say("ready");
    while (value[0] < until) {
        OK(coview_reader_changed(reader, value, sizeof value, COVIEW_FOREVER));
        TRUE(value[1] == 2 * value[0] && value[2] == 3 * value[0]);
    }
    EXPECT(COVIEW_WOULD_BLOCK, coview_reader_changed(reader, value, sizeof value, 0));
    OK(coview_reader_read(reader, value, sizeof value));
    say("whole");
    coview_reader_close(reader);
    coview_latest_close(latest);
}

/* Records 1 to count, each of its number's decimal digits: sent, claimed and in batches. */
static void ring_send(const char *name, uint64_t count) {
    coview_ring *ring;
    coview_sender *sender;
    OK(coview_ring_open(name, &ring));
    OK(coview_sender_open(ring, &sender));
    for (uint64_t i = 1; i <= count; i++) {
        char text[24];
        size_t len = (size_t)snprintf(text, sizeof text, "%lu", (unsigned long)i);
        void *room;
        switch (i % 3) {
        case 0:
            OK(coview_sender_send(sender, text, len, COVIEW_FOREVER));
            break;
        case 1:
            OK(coview_sender_claim(sender, sizeof text, COVIEW_FOREVER, &room));
            memcpy(room, text, len);
            OK(coview_sender_commit(sender, len));
            break;
        default:
            OK(coview_sender_batch(sender));
            if (coview_sender_push(sender, text, len) == COVIEW_OK) {
                OK(coview_sender_commit(sender, 0));
            } else {
                coview_sender_abort(sender);
                OK(coview_sender_send(sender, text, len, COVIEW_FOREVER));
            }
        }
    }
    go_on();
    coview_sender_close(sender);
    coview_ring_close(ring);
}

static void ring_receive(const char *name, uint64_t count) {
    coview_ring *ring;
    coview_receiver *receiver;
    const void *data;
    size_t len;
    OK(coview_ring_open(name, &ring));
    OK(coview_receiver_open(ring, &receiver));
    for (uint64_t i = 1; i <= count; i++) {
        char text[24];
        size_t wanted = (size_t)snprintf(text, sizeof text, "%lu", (unsigned long)i);
        OK(coview_receiver_receive(receiver, COVIEW_FOREVER, &data, &len));
        TRUE(len == wanted && memcmp(data, text, len) == 0);
        if (i % 5 == 0) {
            coview_receiver_leave(receiver); /* and once more */
            OK(coview_receiver_receive(receiver, 0, &data, &len));
            TRUE(len == wanted);
        }
    }
    EXPECT(COVIEW_WOULD_BLOCK, coview_receiver_receive(receiver, 0, &data, &len));
    say("all");
    EXPECT(COVIEW_PEER_DIED, coview_receiver_receive(receiver, COVIEW_FOREVER, &data, &len));
    say("died");
    coview_receiver_close(receiver);
    coview_ring_close(ring);
}

/* Frames of growing size, filled with their number. */
static void frames_publish(const char *name, uint64_t count) {
    coview_frames *frames;
    coview_publisher *publisher;
    OK(coview_frames_open(name, &frames));
    OK(coview_publisher_open(frames, &publisher));
    for (uint64_t i = 1; i <= count; i++) {
        coview_loan *loan;
        OK(coview_publisher_loan(publisher, coview_frames_slot(frames), COVIEW_FOREVER, &loan));
        loan->len = (size_t)(i * 100);
        memset(loan->data, (int)i, loan->len);
        OK(coview_publisher_publish(publisher, loan, COVIEW_FOREVER));
        EXPECT(COVIEW_INVALID_INPUT, coview_publisher_publish(publisher, loan, COVIEW_FOREVER));
    }
    go_on();
    coview_publisher_close(publisher);
    coview_frames_close(frames);
}

static void frames_receive(const char *name, uint64_t count) {
    coview_frames *frames;
    coview_subscriber *subscriber;
    const coview_frame *held = NULL;
    OK(coview_frames_open(name, &frames));
    OK(coview_subscriber_open(frames, COVIEW_EVERY_FRAME, &subscriber));
    say("ready");
    for (uint64_t i = 1; i <= count; i++) {
        const coview_frame *frame;
        OK(coview_subscriber_receive(subscriber, COVIEW_FOREVER, &frame));
        TRUE(frame->number == i && frame->lost == 0 && frame->len == i * 100);
        const unsigned char *bytes = frame->data;
        TRUE(bytes[0] == i && bytes[frame->len - 1] == i);
        /* Two at a time, the older one given back. */
        if (held) {
            OK(coview_subscriber_release(subscriber, held));
            EXPECT(COVIEW_INVALID_INPUT, coview_subscriber_release(subscriber, held));
        }
        held = frame;
    }
    say("all");
    coview_subscriber_close(subscriber); /* gives the last one back */
    coview_frames_close(frames);
}

static void mutex_hold(const char *name) {
    coview_mutex *mutex;
    OK(coview_mutex_open_or_create(name, NULL, &mutex, NULL));
    OK(coview_mutex_lock(mutex, COVIEW_FOREVER));
    go_on();
    OK(coview_mutex_unlock(mutex));
    EXPECT(COVIEW_INVALID_INPUT, coview_mutex_unlock(mutex));
    coview_mutex_close(mutex);
}

static void mutex_take(const char *name) {
    coview_mutex *mutex;
    coview_waitable object = COVIEW_WAIT_MUTEX(NULL);
    OK(coview_mutex_open(name, &mutex));
    object.mutex = mutex;
    EXPECT(COVIEW_WOULD_BLOCK, coview_mutex_lock(mutex, 0));
    EXPECT(COVIEW_TIMED_OUT, coview_mutex_lock(mutex, 20));
    EXPECT(COVIEW_TIMED_OUT, coview_wait_any(&object, 1, 20, NULL));
    say("waits");
    EXPECT(COVIEW_ABANDONED, coview_mutex_lock(mutex, COVIEW_FOREVER));
    OK(coview_mutex_lock(mutex, 0)); /* again */
    OK(coview_mutex_unlock(mutex));
    OK(coview_mutex_unlock(mutex));
    OK(coview_mutex_lock(mutex, 0)); /* and now it is clean */
    OK(coview_mutex_unlock(mutex));
    say("abandoned");
    coview_mutex_close(mutex);
}

/* An event and a semaphore of this name, waited for together. */
static void wait_any(const char *name) {
    char other[300];
    coview_event *event;
    coview_semaphore *semaphore;
    size_t index = 9;
    snprintf(other, sizeof other, "%s-s", name);
    OK(coview_event_open(name, &event));
    OK(coview_semaphore_open(other, &semaphore));
    coview_waitable objects[2] = {COVIEW_WAIT_EVENT(event), COVIEW_WAIT_SEMAPHORE(semaphore)};
    EXPECT(COVIEW_WOULD_BLOCK, coview_wait_any(objects, 2, 0, &index));
    say("waits");
    OK(coview_wait_any(objects, 2, COVIEW_FOREVER, &index));
    printf("%lu\n", (unsigned long)index);
    say("waits");
    OK(coview_wait_all(objects, 2, COVIEW_FOREVER, NULL));
    say("both");
    coview_event_close(event);
    coview_semaphore_close(semaphore);
}

/* An unnamed mapping for the child, which is this program again. */
static void hand_over(const char *key, char *program) {
    char text[200];
    coview_mapping *mapping;
    coview_view *view;
    OK(coview_mapping_create(NULL, 4096, NULL, &mapping));
    OK(coview_view_open(mapping, COVIEW_READ_WRITE, 0, 0, &view));
    OK(coview_view_write(view, 0, "for the child", 14));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_mapping_hand_over(mapping, key, text, 4, NULL));
    EXPECT(COVIEW_INVALID_INPUT, coview_mapping_hand_over(mapping, "no=key", text, sizeof text, NULL));
    OK(coview_mapping_hand_over(mapping, key, text, sizeof text, NULL));
    char inherited[] = "inherited", copy[64];
    snprintf(copy, sizeof copy, "%s", key);
    char *arguments[] = {program, inherited, copy, NULL}, *environment[] = {text, NULL};
    execve(program, arguments, environment);
    exit(1);
}

static void inherited(const char *key) {
    char text[32];
    coview_mapping *mapping;
    coview_view *view;
    OK(coview_mapping_inherited(key, &mapping));
    OK(coview_view_open(mapping, COVIEW_READ, 0, 0, &view));
    OK(coview_view_read(view, 0, text, sizeof text));
    say(text);
    coview_view_close(view);
    coview_mapping_close(mapping);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        return 2;
    }
    const char *verb = argv[1], *name = argv[2];
    uint64_t number = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    if (!strcmp(verb, "mapping-write")) mapping_write(name);
    else if (!strcmp(verb, "mapping-read")) mapping_read(name);
    else if (!strcmp(verb, "region-create")) region_create(name);
    else if (!strcmp(verb, "region-read")) region_read(name);
    else if (!strcmp(verb, "latest-write")) latest_write(name, number);
    else if (!strcmp(verb, "latest-read")) latest_read(name, number);
    else if (!strcmp(verb, "ring-send")) ring_send(name, number);
    else if (!strcmp(verb, "ring-receive")) ring_receive(name, number);
    else if (!strcmp(verb, "frames-publish")) frames_publish(name, number);
    else if (!strcmp(verb, "frames-receive")) frames_receive(name, number);
    else if (!strcmp(verb, "mutex-hold")) mutex_hold(name);
    else if (!strcmp(verb, "mutex-take")) mutex_take(name);
    else if (!strcmp(verb, "wait-any")) wait_any(name);
    else if (!strcmp(verb, "hand-over")) hand_over(name, argv[0]);
    else if (!strcmp(verb, "inherited")) inherited(name);
    else return 2;
    return 0;
}
