/* Handles in several threads: threads PREFIX [ROUNDS]. A count behind a mutex, records by several senders, errors of one's own. */

#define _POSIX_C_SOURCE 200809L
#include "check.h"

#include <pthread.h>

enum { THREADS = 4 };

static int rounds = 2000;
static coview_mutex *mutex;
static coview_view *view;
static coview_ring *ring;
static char name[256];

static void *count(void *unused) {
    (void)unused;
    for (int i = 0; i < rounds; i++) {
        long *number = coview_view_data(view);
        OK(coview_mutex_lock(mutex, COVIEW_FOREVER));
        *number += 1;
        OK(coview_mutex_unlock(mutex));
    }
    return NULL;
}

static void *send(void *unused) {
    (void)unused;
    coview_sender *sender;
    OK(coview_sender_open(ring, &sender));
    for (int i = 0; i < rounds; i++) {
        OK(coview_sender_send(sender, &i, sizeof i, COVIEW_FOREVER));
    }
    coview_sender_close(sender);
    return NULL;
}

static void *fail(void *wrong) {
    coview_mapping *mapping;
    char tail[8]; /* a message quotes the name, but for its backslash */
    snprintf(tail, sizeof tail, "%.2s", (const char *)wrong);
    for (int i = 0; i < rounds; i++) {
        EXPECT(COVIEW_INVALID_NAME, coview_mapping_open(wrong, COVIEW_READ, &mapping));
        TRUE(strstr(coview_last_error(), "spelt so") != NULL && strstr(coview_last_error(), tail) != NULL);
    }
    return NULL;
}

static void add(void *sum, const void *data, size_t len) {
    int number;
    TRUE(len == sizeof number);
    memcpy(&number, data, len);
    *(long *)sum += number;
}

int main(int argc, char **argv) {
    if (argc > 2) {
        rounds = atoi(argv[2]);
    }
    pthread_t threads[3 * THREADS];
    coview_mapping *mapping;
    coview_receiver *receiver;
    coview_ring_options options = {0};
    options.struct_size = sizeof options;
    options.flags = COVIEW_SEVERAL;
    snprintf(name, sizeof name, "%s-m", argv[1]);
    OK(coview_mutex_create(name, NULL, &mutex));
    snprintf(name, sizeof name, "%s-r", argv[1]);
    OK(coview_ring_create(name, &options, &ring));
    OK(coview_receiver_open(ring, &receiver));
    OK(coview_mapping_create(NULL, 4096, NULL, &mapping));
    OK(coview_view_open(mapping, COVIEW_READ_WRITE, 0, 0, &view));
    char wrong[THREADS][8];
    for (int i = 0; i < THREADS; i++) {
        snprintf(wrong[i], sizeof wrong[i], "x%d\\y", i);
        TRUE(pthread_create(&threads[3 * i], NULL, count, NULL) == 0);
        TRUE(pthread_create(&threads[3 * i + 1], NULL, send, NULL) == 0);
        TRUE(pthread_create(&threads[3 * i + 2], NULL, fail, wrong[i]) == 0);
    }
    long sum = 0, received = 0;
    while (received < (long)THREADS * rounds) {
        const void *data;
        size_t len, more;
        OK(coview_receiver_receive(receiver, COVIEW_FOREVER, &data, &len));
        add(&sum, data, len);
        OK(coview_receiver_drain(receiver, add, &sum, &more));
        received += 1 + (long)more;
    }
    for (int i = 0; i < 3 * THREADS; i++) {
        TRUE(pthread_join(threads[i], NULL) == 0);
    }
    TRUE(sum == (long)THREADS * rounds * (rounds - 1) / 2);
    TRUE(*(long *)coview_view_data(view) == (long)THREADS * rounds);
    coview_receiver_close(receiver);
    coview_ring_close(ring);
    coview_view_close(view);
    coview_mapping_close(mapping);
    coview_mutex_close(mutex);
    puts("ok");
    return 0;
}
