/* What a program does wrong, and what it is told: misuse PREFIX. Every function with NULL, and worse. */

#include "check.h"

#define WRONG(call) EXPECT(COVIEW_INVALID_INPUT, call)

static char name[256];
static const char *prefix;
static coview_mutex *first;

static const char *named(const char *what) {
    snprintf(name, sizeof name, "%s-%s", prefix, what);
    return name;
}

static bool no_object(void *user, const coview_object *object) {
    (void)user;
    (void)object;
    return true;
}

static void nothing_is_closed(void) {
    coview_mapping_close(NULL);
    coview_view_close(NULL);
    coview_windows_close(NULL);
    coview_mutex_close(NULL);
    coview_event_close(NULL);
    coview_semaphore_close(NULL);
    coview_region_close(NULL);
    coview_latest_close(NULL);
    coview_writer_close(NULL);
    coview_reader_close(NULL);
    coview_ring_close(NULL);
    coview_sender_close(NULL);
    coview_receiver_close(NULL);
    coview_frames_close(NULL);
    coview_publisher_close(NULL);
    coview_subscriber_close(NULL);
    coview_sender_abort(NULL);
    coview_receiver_release(NULL);
    coview_receiver_leave(NULL);
}

static void null_says_nothing(void) {
    TRUE(coview_mapping_size(NULL) == 0);
    TRUE(coview_mapping_access(NULL) == COVIEW_READ);
    TRUE(coview_view_data(NULL) == NULL && coview_view_len(NULL) == 0 && coview_view_offset(NULL) == 0);
    TRUE(coview_region_data(NULL) == NULL && coview_region_len(NULL) == 0);
    TRUE(coview_latest_len(NULL) == 0 && coview_ring_capacity(NULL) == 0);
    TRUE(coview_sender_record_max(NULL) == 0 && coview_frames_slot(NULL) == 0);
    TRUE(coview_publisher_subscribers(NULL) == 0);
}

static void null_is_refused(void) {
    coview_view *view;
    coview_mapping *mapping;
    const void *data;
    void *room;
    size_t len;
    const coview_frame *frame;
    coview_loan *loan;
    WRONG(coview_mapping_create(named("x"), 1, NULL, NULL));
    WRONG(coview_mapping_create(NULL, 0, NULL, &mapping));
    WRONG(coview_mapping_open_or_create(NULL, 1, NULL, &mapping, NULL));
    WRONG(coview_mapping_open(NULL, COVIEW_READ, &mapping));
    WRONG(coview_mapping_inherited(NULL, &mapping));
    WRONG(coview_mapping_hand_over(NULL, "key", NULL, 0, NULL));
    WRONG(coview_mapping_clone(NULL, &mapping));
    WRONG(coview_mapping_commit(NULL, 0, 1));
    WRONG(coview_view_open(NULL, COVIEW_READ, 0, 0, &view));
    TRUE(view == NULL);
    WRONG(coview_view_read(NULL, 0, NULL, 0));
    WRONG(coview_view_write(NULL, 0, NULL, 0));
    WRONG(coview_view_flush(NULL, 0, 0));
    WRONG(coview_windows_open(NULL, COVIEW_READ, 10, 0, NULL));
    WRONG(coview_windows_next(NULL, &view));
    WRONG(coview_mutex_create(NULL, NULL, NULL));
    WRONG(coview_mutex_lock(NULL, 0));
    WRONG(coview_mutex_unlock(NULL));
    WRONG(coview_event_set(NULL));
    WRONG(coview_event_reset(NULL));
    WRONG(coview_event_wait(NULL, 0));
    WRONG(coview_semaphore_acquire(NULL, 0));
    WRONG(coview_semaphore_release(NULL, 1, NULL));
    WRONG(coview_wait_any(NULL, 1, 0, NULL));
    WRONG(coview_wait_all(NULL, 1, 0, NULL));
    WRONG(coview_region_create(named("x"), NULL, NULL, NULL, NULL));
    WRONG(coview_region_read(NULL, 0, NULL, 0));
    WRONG(coview_region_write(NULL, 0, NULL, 0));
    WRONG(coview_region_describe(NULL, NULL, 0, NULL));
    WRONG(coview_writer_open(NULL, NULL));
    WRONG(coview_writer_set(NULL, NULL, 0));
    WRONG(coview_reader_open(NULL, NULL));
    WRONG(coview_reader_read(NULL, NULL, 0));
    WRONG(coview_reader_changed(NULL, NULL, 0, 0));
    WRONG(coview_sender_open(NULL, NULL));
    WRONG(coview_sender_send(NULL, NULL, 0, 0));
    WRONG(coview_sender_claim(NULL, 1, 0, &room));
    WRONG(coview_sender_batch(NULL));
    WRONG(coview_sender_push(NULL, NULL, 0));
    WRONG(coview_sender_commit(NULL, 0));
    WRONG(coview_receiver_open(NULL, NULL));
    WRONG(coview_receiver_receive(NULL, 0, &data, &len));
    WRONG(coview_receiver_drain(NULL, NULL, NULL, NULL));
    WRONG(coview_publisher_open(NULL, NULL));
    WRONG(coview_publisher_loan(NULL, 1, 0, &loan));
    WRONG(coview_publisher_publish(NULL, NULL, 0));
    WRONG(coview_publisher_abort(NULL, NULL));
    WRONG(coview_publisher_send(NULL, NULL, 0, 0));
    WRONG(coview_subscriber_open(NULL, 0, NULL));
    WRONG(coview_subscriber_receive(NULL, 0, &frame));
    WRONG(coview_subscriber_release(NULL, NULL));
    WRONG(coview_list(false, NULL, NULL));
    OK(coview_list(true, no_object, NULL));
    OK(coview_sweep(NULL, NULL));
}

static void options_are_checked(void) {
    coview_mapping *mapping;
    coview_mapping_options options = {0};
    WRONG(coview_mapping_create(named("x"), 4096, &options, &mapping)); /* struct_size was forgotten */
    TRUE(strstr(coview_last_error(), "struct_size") != NULL);
    options.struct_size = sizeof options;
    options.flags = COVIEW_MANUAL_RESET;
    WRONG(coview_mapping_create(named("x"), 4096, &options, &mapping));
    options.flags = 0;
    options.protection = 77;
    WRONG(coview_mapping_create(named("x"), 4096, &options, &mapping));
    options.protection = 0;
    options.share.who = 77;
    WRONG(coview_mapping_create(named("x"), 4096, &options, &mapping));
    options.share.who = COVIEW_SHARE_SDDL;
    WRONG(coview_mapping_create(named("x"), 4096, &options, &mapping)); /* of which there is none */
    options.share.who = COVIEW_SHARE_MODE;
    options.share.mode = 0640;
    OK(coview_mapping_create(named("x"), 4096, &options, &mapping));
    coview_mapping_close(mapping);
    EXPECT(COVIEW_NOT_FOUND, coview_mapping_open(named("x"), COVIEW_READ, &mapping));
    TRUE(mapping == NULL && strstr(coview_last_error(), named("x")) != NULL);
    WRONG(coview_mapping_open(named("x"), 3, &mapping));
    EXPECT(COVIEW_INVALID_NAME, coview_mapping_open("local\\x", COVIEW_READ, &mapping));
    WRONG(coview_mapping_open("\xff", COVIEW_READ, &mapping));
}

static void views_are_checked(void) {
    coview_mapping *mapping, *clone;
    coview_view *view;
    coview_windows *windows;
    char byte = 0;
    int count = 0;
    coview_mapping_options options = {0};
    OK(coview_mapping_create(NULL, 10000, NULL, &mapping));
    OK(coview_mapping_clone(mapping, &clone));
    TRUE(coview_mapping_size(clone) == coview_mapping_size(mapping));
    coview_mapping_close(clone);
    EXPECT(COVIEW_OUT_OF_RANGE, coview_view_open(mapping, COVIEW_READ, 0, 1 << 20, &view));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_view_open(mapping, COVIEW_READ, UINT64_MAX, 0, &view));
    WRONG(coview_view_open(mapping, COVIEW_READ, UINT64_MAX, UINT64_MAX, &view));
    OK(coview_view_open(mapping, COVIEW_READ_WRITE, 12, 30, &view));
    TRUE(coview_view_len(view) == 30 && coview_view_offset(view) == 12);
    OK(coview_view_write(view, 29, &byte, 1));
    OK(coview_view_write(view, 30, NULL, 0));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_view_write(view, 30, &byte, 1));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_view_read(view, SIZE_MAX, &byte, 1));
    WRONG(coview_view_read(view, 0, NULL, 1));
    WRONG(coview_view_read(view, 0, &byte, SIZE_MAX)); /* a negative length */
    EXPECT(COVIEW_OUT_OF_RANGE, coview_view_flush(view, 31, 1));
    coview_view_close(view);
    WRONG(coview_windows_open(mapping, COVIEW_READ, 0, 0, &windows));
    WRONG(coview_windows_open(mapping, COVIEW_READ, 10, 10, &windows));
    OK(coview_windows_open(mapping, COVIEW_READ, 5000, 100, &windows));
    coview_mapping_close(mapping); /* the walk keeps it */
    uint64_t end = 0;
    while (coview_windows_next(windows, &view) == COVIEW_OK) {
        TRUE(coview_view_offset(view) == (count ? end - 100 : 0));
        end = coview_view_offset(view) + coview_view_len(view);
        coview_view_close(view);
        count++;
    }
    TRUE(count == 3 && view == NULL);
    EXPECT(COVIEW_NONE, coview_windows_next(windows, &view));
    coview_windows_close(windows);

    options.struct_size = sizeof options;
    options.flags = COVIEW_RESERVE;
    OK(coview_mapping_create(NULL, 1 << 20, &options, &mapping));
    OK(coview_view_open(mapping, COVIEW_READ_WRITE, 0, 0, &view));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_view_read(view, 8192, &byte, 1)); /* without memory */
    OK(coview_mapping_commit(mapping, 8192, 1));
    OK(coview_view_read(view, 8192, &byte, 1));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_mapping_commit(mapping, 1 << 20, 1));
    coview_view_close(view);
    coview_mapping_close(mapping);
}

static void objects_are_checked(void) {
    coview_mutex *mutex;
    coview_event *event;
    coview_semaphore *semaphore;
    coview_sync_options options = {0};
    coview_waitable both = {NULL, NULL, NULL};
    uint32_t before = 9;
    bool created = false, abandoned[2] = {true, true};
    OK(coview_mutex_create(named("m"), NULL, &first));
    EXPECT(COVIEW_ALREADY_EXISTS, coview_mutex_create(named("m"), NULL, &mutex));
    TRUE(mutex == NULL);
    OK(coview_mutex_open_or_create(named("m2"), NULL, &mutex, &created));
    TRUE(created);
    EXPECT(COVIEW_WRONG_KIND, coview_event_open(named("m2"), &event));
    EXPECT(COVIEW_INVALID_INPUT, coview_mutex_unlock(mutex)); /* not had */
    EXPECT(COVIEW_INVALID_INPUT, coview_wait_any(&both, 1, 0, NULL)); /* no handle */
    options.struct_size = sizeof options;
    options.flags = COVIEW_MANUAL_RESET | COVIEW_INITIALLY_SET;
    coview_mutex *none;
    EXPECT(COVIEW_INVALID_INPUT, coview_mutex_create(named("m3"), &options, &none)); /* only events have these */
    OK(coview_event_create(named("e"), &options, &event));
    OK(coview_event_wait(event, 0));
    OK(coview_event_wait(event, COVIEW_FOREVER));
    OK(coview_event_reset(event));
    EXPECT(COVIEW_TIMED_OUT, coview_event_wait(event, 1));
    OK(coview_event_set(event));
    EXPECT(COVIEW_INVALID_INPUT, coview_semaphore_create(named("s"), 3, 2, NULL, &semaphore));
    OK(coview_semaphore_create(named("s"), 1, 2, NULL, &semaphore));
    OK(coview_semaphore_release(semaphore, 1, &before));
    TRUE(before == 1);
    EXPECT(COVIEW_FULL, coview_semaphore_release(semaphore, 1, &before));
    TRUE(before == 2);
    EXPECT(COVIEW_INVALID_INPUT, coview_semaphore_release(semaphore, 0, NULL));
    coview_waitable objects[2] = {COVIEW_WAIT_EVENT(event), COVIEW_WAIT_SEMAPHORE(semaphore)};
    EXPECT(COVIEW_INVALID_INPUT, coview_wait_any(objects, 0, 0, NULL));
    EXPECT(COVIEW_INVALID_INPUT, coview_wait_any(objects, 65, 0, NULL));
    OK(coview_wait_all(objects, 2, 0, abandoned));
    TRUE(!abandoned[0] && !abandoned[1]);
    coview_semaphore_close(semaphore);
    coview_event_close(event);
    coview_mutex_close(mutex);
}

typedef struct inner {
    double x;
} inner;
typedef struct outer {
    inner at[2][1];
    uint16_t end[4];
} outer;

static void layouts_are_checked(void) {
    coview_region *region;
    static coview_layout loop = {COVIEW_TYPE_RECORD, {0, 0, 0, 0}, "Loop", 8, NULL, 1};
    static coview_field self = {"self", 0, COVIEW_TYPE_RECORD, {0, 0, 0, 0}, &loop};
    static const coview_field inner_fields[] = {COVIEW_FIELD(inner, x, COVIEW_TYPE_F64)};
    static const coview_layout inner_layout = COVIEW_LAYOUT_RECORD(inner, "Inner", inner_fields);
    coview_field fields[] = {COVIEW_FIELD_RECORD_ARRAY(outer, at, &inner_layout, 2),
                             COVIEW_FIELD_ARRAY(outer, end, COVIEW_TYPE_U16, 4)};
    coview_layout layout = COVIEW_LAYOUT_RECORD(outer, "Outer", fields);
    outer value = {{{{1.0}}, {{2.0}}}, {1, 2, 3, 4}};
    char text[200];
    size_t len;
    loop.fields = &self; /* stands in itself */
    WRONG(coview_region_create(named("r"), &loop, &value, NULL, &region));
    fields[0].lengths[2] = 5; /* behind the end */
    WRONG(coview_region_create(named("r"), &layout, &value, NULL, &region));
    fields[0].lengths[1] = 1;
    fields[0].lengths[2] = 0;
    fields[1].kind = 99;
    WRONG(coview_region_create(named("r"), &layout, &value, NULL, &region));
    fields[1].kind = COVIEW_TYPE_U16;
    fields[1].offset = 17; /* packed */
    WRONG(coview_region_create(named("r"), &layout, &value, NULL, &region));
    fields[1].offset = 16;
    layout.name = NULL;
    WRONG(coview_region_create(named("r"), &layout, &value, NULL, &region));
    layout.name = "Outer";
    WRONG(coview_region_create(named("r"), &layout, NULL, NULL, &region));
    OK(coview_region_create(named("r"), &layout, &value, NULL, &region));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_region_read(region, 1, &value, sizeof value));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_region_describe(named("r"), text, 10, &len));
    TRUE(strlen(text) == 9 && len > 9);
    OK(coview_region_describe(named("r"), text, sizeof text, NULL));
    TRUE(strcmp(text, "struct Outer { struct Inner { f64 x; } at[2][1]; u16 end[4]; }") == 0);
    coview_region_close(region);
}

static void ends_are_checked(void) {
    coview_ring *ring;
    coview_sender *sender, *second;
    coview_receiver *receiver;
    coview_frames *frames;
    coview_publisher *publisher;
    coview_subscriber *subscriber;
    coview_loan *loan, other = {NULL, 0};
    const coview_frame *frame;
    const void *data;
    void *room;
    size_t len, count;
    coview_latest *latest;
    coview_writer *writer;
    OK(coview_ring_create(named("ring"), NULL, &ring));
    OK(coview_sender_open(ring, &sender));
    EXPECT(COVIEW_ALREADY_EXISTS, coview_sender_open(ring, &second));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_sender_send(sender, name, 1 << 20, 0));
    OK(coview_sender_claim(sender, 8, 0, &room));
    WRONG(coview_sender_send(sender, name, 1, 0)); /* in the middle of a claim */
    WRONG(coview_sender_claim(sender, 8, 0, &room));
    TRUE(coview_sender_record_max(sender) == 0);
    WRONG(coview_sender_push(sender, name, 1)); /* no batch */
    WRONG(coview_sender_commit(sender, 9));
    OK(coview_sender_commit(sender, 3));
    WRONG(coview_sender_commit(sender, 3));
    OK(coview_sender_claim(sender, 8, 0, &room));
    coview_sender_abort(sender);
    OK(coview_sender_batch(sender));
    while (coview_sender_push(sender, name, 200) == COVIEW_OK) {
    }
    EXPECT(COVIEW_FULL, coview_sender_push(sender, name, 200));
    coview_sender_abort(sender);
    OK(coview_receiver_open(ring, &receiver));
    WRONG(coview_receiver_receive(receiver, 0, NULL, &len));
    OK(coview_receiver_receive(receiver, 0, &data, &len));
    TRUE(len == 3);
    WRONG(coview_receiver_drain(receiver, NULL, NULL, &count));
    EXPECT(COVIEW_WOULD_BLOCK, coview_receiver_receive(receiver, 0, &data, &len));
    TRUE(data == NULL && len == 0);
    coview_ring_close(ring); /* the ends stay */
    OK(coview_sender_send(sender, "", 0, 0));
    OK(coview_receiver_receive(receiver, 0, &data, &len));
    TRUE(len == 0);
    OK(coview_sender_claim(sender, 8, 0, &room));
    coview_sender_close(sender); /* and its claim */
    coview_receiver_close(receiver);

    OK(coview_frames_create(named("frames"), NULL, &frames));
    OK(coview_publisher_open(frames, &publisher));
    WRONG(coview_subscriber_open(frames, 3, &subscriber));
    OK(coview_subscriber_open(frames, COVIEW_DROP_OLDEST, &subscriber));
    EXPECT(COVIEW_OUT_OF_RANGE, coview_publisher_loan(publisher, 1 << 30, 0, &loan));
    OK(coview_publisher_loan(publisher, 4, 0, &loan)); /* small: not in shared memory */
    memcpy(loan->data, "abcd", 4);
    loan->len = 5;
    WRONG(coview_publisher_publish(publisher, loan, 0));
    loan->len = 3;
    WRONG(coview_publisher_publish(publisher, &other, 0));
    OK(coview_publisher_publish(publisher, loan, 0));
    WRONG(coview_publisher_abort(publisher, loan)); /* gone */
    OK(coview_subscriber_receive(subscriber, 0, &frame));
    TRUE(frame->len == 3 && memcmp(frame->data, "abc", 3) == 0 && frame->number == 1);
    OK(coview_subscriber_release(subscriber, frame));
    WRONG(coview_subscriber_release(subscriber, frame)); /* twice */
    EXPECT(COVIEW_WOULD_BLOCK, coview_subscriber_receive(subscriber, 0, &frame));
    OK(coview_publisher_loan(publisher, 5000, 0, &loan));
    TRUE(coview_publisher_subscribers(publisher) == 1);
    OK(coview_publisher_send(publisher, name, sizeof name, 0));
    OK(coview_subscriber_receive(subscriber, 0, &frame));
    coview_publisher_close(publisher); /* with its loan */
    coview_subscriber_close(subscriber); /* with its frame */
    coview_frames_close(frames);

    EXPECT(COVIEW_WRONG_KIND, coview_latest_open(named("m"), &student_layout, &latest)); /* a mutex */
    OK(coview_latest_create(named("latest"), &student_layout, NULL, &latest));
    EXPECT(COVIEW_WRONG_KIND, coview_ring_open(named("latest"), &ring));
    OK(coview_writer_open(latest, &writer));
    WRONG(coview_writer_set(writer, name, sizeof(student) - 1));
    coview_writer_close(writer);
    coview_latest_close(latest);
}

int main(int argc, char **argv) {
    (void)argc;
    prefix = argv[1];
    TRUE(strcmp(coview_last_error(), "") == 0);
    TRUE(strcmp(coview_version(), COVIEW_VERSION) == 0);
    nothing_is_closed();
    null_says_nothing();
    null_is_refused();
    options_are_checked();
    views_are_checked();
    objects_are_checked();
    layouts_are_checked();
    ends_are_checked();
    coview_mutex_close(first);
    puts("ok");
    return 0;
}
