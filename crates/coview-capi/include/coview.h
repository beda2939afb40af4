/* coview.h: shared memory with names, for C and C++. Made by `cargo xtask header`; do not edit.
 *
 * Functions give a coview_status: COVIEW_OK (0), or why not; coview_last_error() has the text. A handle comes from a
 * function that makes, opens or attaches something, through a pointer to it, and is NULL after a failure; it goes back
 * by the matching ..._close. A closed handle is as freed memory: using it, or closing it twice, is undefined.
 * NULL for a handle is refused with COVIEW_INVALID_INPUT, and ..._close(NULL) does nothing.
 *
 * Names are UTF-8: "Sensor" and "Local\\Sensor" are seen by one user (on Windows: one session), "Global\\Sensor" by the
 * machine. Mappings, mutexes, events, semaphores, regions and channels share one name space.
 *
 * Structs of options begin with their own size; zeros mean what is usual, and NULL is as all zeros:
 *     coview_mapping_options options = {.struct_size = sizeof options, .flags = COVIEW_RESERVE};
 *
 * timeout_ms: 0 looks and does not wait (COVIEW_WOULD_BLOCK), COVIEW_FOREVER waits, anything else is milliseconds
 * (COVIEW_TIMED_OUT).
 *
 * Threads: handles may be used by several at once, but ends of channels (senders, receivers, writers, readers, publishers,
 * subscribers) by one at a time. After fork(), a child uses what it opens itself.
 */

#ifndef COVIEW_H
#define COVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header. */
#define COVIEW_VERSION "0.1.0"
#define COVIEW_VERSION_MAJOR 0
#define COVIEW_VERSION_MINOR 1
#define COVIEW_VERSION_PATCH 0

/* Layouts, in braces, for static tables:
 *     static const coview_field fields[] = {
 *         COVIEW_FIELD(student, id, COVIEW_TYPE_I32),
 *         COVIEW_FIELD_ARRAY(student, name, COVIEW_TYPE_U8, 20),
 *     };
 *     static const coview_layout layout = COVIEW_LAYOUT_RECORD(student, "Student", fields);
 */
#define COVIEW_LAYOUT(type) {(type), {0, 0, 0, 0}, NULL, 0, NULL, 0}
#define COVIEW_LAYOUT_ARRAY(type, length) {(type), {(length), 0, 0, 0}, NULL, 0, NULL, 0}
#define COVIEW_LAYOUT_RECORD(record, name, fields) \
    {COVIEW_TYPE_RECORD, {0, 0, 0, 0}, (name), sizeof(record), (fields), sizeof(fields) / sizeof((fields)[0])}
#define COVIEW_FIELD(record, member, type) {#member, offsetof(record, member), (type), {0, 0, 0, 0}, NULL}
#define COVIEW_FIELD_ARRAY(record, member, type, length) \
    {#member, offsetof(record, member), (type), {(length), 0, 0, 0}, NULL}
#define COVIEW_FIELD_RECORD(record, member, layout) \
    {#member, offsetof(record, member), COVIEW_TYPE_RECORD, {0, 0, 0, 0}, (layout)}
#define COVIEW_FIELD_RECORD_ARRAY(record, member, layout, length) \
    {#member, offsetof(record, member), COVIEW_TYPE_RECORD, {(length), 0, 0, 0}, (layout)}

/* One of coview_wait_any's and coview_wait_all's objects. */
#define COVIEW_WAIT_MUTEX(handle) {(handle), NULL, NULL}
#define COVIEW_WAIT_EVENT(handle) {NULL, (handle), NULL}
#define COVIEW_WAIT_SEMAPHORE(handle) {NULL, NULL, (handle)}

/**
 * As a timeout: for as long as it takes. 0 looks and does not wait; anything else is milliseconds.
 */
#define COVIEW_FOREVER UINT32_MAX

/**
 * Its creator may open it.
 */
#define COVIEW_SHARE_OWNER 0

/**
 * Also the creator's primary group.
 */
#define COVIEW_SHARE_GROUP 1

/**
 * All users.
 */
#define COVIEW_SHARE_EVERYONE 2

/**
 * Whom the bits in `mode` allow, as `chmod` has them: 0640.
 */
#define COVIEW_SHARE_MODE 3

/**
 * Whom the security descriptor in `sddl` allows, in Windows' text form; Linux takes those that say no more than a mode can.
 */
#define COVIEW_SHARE_SDDL 4

/**
 * Views may read and write.
 */
#define COVIEW_PROTECT_READ_WRITE 0

/**
 * Views may read, or write to private copies.
 */
#define COVIEW_PROTECT_READ_ONLY 1

/**
 * Views may read, or write to private copies; the file behind it need not be writable.
 */
#define COVIEW_PROTECT_WRITE_COPY 2

/**
 * Every child process inherits the handle.
 */
#define COVIEW_INHERITABLE 1

/**
 * Of a mapping: only address space is reserved; ranges get memory by `coview_mapping_commit`.
 */
#define COVIEW_RESERVE 2

/**
 * Of a mapping: its size is exact to the byte instead of whole pages.
 */
#define COVIEW_EXACT 4

/**
 * Of a mapping: refused if the file is open elsewhere, and keeps it from being opened.
 */
#define COVIEW_EXCLUSIVE_FILE 8

/**
 * Of an event: it stays set until it is reset. Otherwise the first who waits for it resets it.
 */
#define COVIEW_MANUAL_RESET 16

/**
 * Of an event: it begins set.
 */
#define COVIEW_INITIALLY_SET 32

/**
 * Of a latest value: several writers at once. Of a ring: several senders.
 */
#define COVIEW_SEVERAL 64

/**
 * Of a ring: both sides only ever look and never sleep.
 */
#define COVIEW_POLLING 128

/**
 * Every frame: publishers wait for this subscriber when there is no room.
 */
#define COVIEW_EVERY_FRAME 0

/**
 * The oldest frames are dropped; `lost` says how many.
 */
#define COVIEW_DROP_OLDEST 1

/**
 * The newest frame, and never an older one.
 */
#define COVIEW_NEWEST_ONLY 2

/**
 * As `history`: none.
 */
#define COVIEW_NO_HISTORY UINT32_MAX

/**
 * A mapping: shared memory; regions and channels stand in one.
 */
#define COVIEW_KIND_MAPPING 1

/**
 * A mutex.
 */
#define COVIEW_KIND_MUTEX 2

/**
 * An event.
 */
#define COVIEW_KIND_EVENT 3

/**
 * A semaphore.
 */
#define COVIEW_KIND_SEMAPHORE 4

/**
 * Shared memory of another program.
 */
#define COVIEW_KIND_FOREIGN 5

/**
 * An event: set or not, and waited for. May be used by several threads.
 */
typedef struct coview_event coview_event;

/**
 * Named frames: publish and subscribe without copies. In Rust they are `Frames<[u8]>`. May be used by several threads.
 */
typedef struct coview_frames coview_frames;

/**
 * A named value of which everybody gets the newest. Writers and readers never wait for each other, and nobody sees half of a
 * value. May be used by several threads.
 */
typedef struct coview_latest coview_latest;

/**
 * A mapping: memory that several processes map views of. It lives until its last handle and view in any process is gone,
 * whatever ended them. May be used by several threads.
 */
typedef struct coview_mapping coview_mapping;

/**
 * A mutex that threads of all processes share by name. The thread that has it can take it again, and gives it back as often.
 * May be used by several threads.
 */
typedef struct coview_mutex coview_mutex;

/**
 * The end that publishes. It and its loans are used by one thread at a time.
 */
typedef struct coview_publisher coview_publisher;

/**
 * A reader, and which value it has seen last. Used by one thread at a time.
 */
typedef struct coview_reader coview_reader;

/**
 * The end that receives. Used by one thread at a time.
 */
typedef struct coview_receiver coview_receiver;

/**
 * A region: one value in shared memory that describes itself, so that both sides know that they mean the same by its bytes.
 * May be used by several threads.
 */
typedef struct coview_region coview_region;

/**
 * A named ring: bytes that flow from senders to a receiver, in records of any length. May be used by several threads.
 */
typedef struct coview_ring coview_ring;

/**
 * A count of permits. May be used by several threads.
 */
typedef struct coview_semaphore coview_semaphore;

/**
 * The end that sends. Used by one thread at a time; of a ring for several senders, a claim or a batch is ended by the thread that
 * began it.
 */
typedef struct coview_sender coview_sender;

/**
 * The end that receives. It and its frames are used by one thread at a time.
 */
typedef struct coview_subscriber coview_subscriber;

/**
 * A mapped range of a mapping. It keeps its mapping open. May be used by several threads.
 */
typedef struct coview_view coview_view;

/**
 * A walk over a mapping in views of equal length, so that it may be larger than the address space.
 */
typedef struct coview_windows coview_windows;

/**
 * The end that writes. Used by one thread at a time.
 */
typedef struct coview_writer coview_writer;

/**
 * What a function came to: `COVIEW_OK`, an error (1 to 99) or one of the answers from 100 on.
 */
typedef int32_t coview_status;

/**
 * Who may open a named object. Zeros: its creator alone. A `Local\` name is reached by one user only, whatever this says.
 */
typedef struct coview_share {
    /**
     * One of `COVIEW_SHARE_...`.
     */
    uint32_t who;
    /**
     * Of `COVIEW_SHARE_MODE`.
     */
    uint32_t mode;
    /**
     * Of `COVIEW_SHARE_SDDL`.
     */
    const char *sddl;
} coview_share;

/**
 * How a mapping is made. Zeros: read-write memory for its creator alone.
 */
typedef struct coview_mapping_options {
    /**
     * `sizeof(coview_mapping_options)`.
     */
    size_t struct_size;
    /**
     * The most any view may do: one of `COVIEW_PROTECT_...`.
     */
    uint32_t protection;
    /**
     * Of `COVIEW_INHERITABLE`, `COVIEW_RESERVE`, `COVIEW_EXACT`, `COVIEW_EXCLUSIVE_FILE`.
     */
    uint32_t flags;
    /**
     * Who may open it by name.
     */
    struct coview_share share;
    /**
     * The path of the file that it stands on: made if it is absent, grown if it is too small. NULL: memory.
     */
    const char *file;
} coview_mapping_options;

/**
 * What a handle or a view does with the memory: one of the three below.
 */
typedef uint32_t coview_access;

/**
 * How a mutex, an event or a semaphore is made. Zeros: for its creator alone.
 */
typedef struct coview_sync_options {
    /**
     * `sizeof(coview_sync_options)`.
     */
    size_t struct_size;
    /**
     * Of `COVIEW_INHERITABLE`, and for an event `COVIEW_MANUAL_RESET`, `COVIEW_INITIALLY_SET`.
     */
    uint32_t flags;
    /**
     * Who may open it by name.
     */
    struct coview_share share;
} coview_sync_options;

/**
 * Something to be waited for beside others: one of the three, and NULL for the other two.
 */
typedef struct coview_waitable {
    /**
     * Had when this thread has taken it.
     */
    const struct coview_mutex *mutex;
    /**
     * Had when it is set.
     */
    const struct coview_event *event;
    /**
     * Had when a permit was taken.
     */
    const struct coview_semaphore *semaphore;
} coview_waitable;

/**
 * What kind of type it is: one of `COVIEW_TYPE_...`.
 */
typedef uint32_t coview_type;

/**
 * A field of a struct. `COVIEW_FIELD`, `COVIEW_FIELD_ARRAY`, `COVIEW_FIELD_RECORD`, `COVIEW_FIELD_RECORD_ARRAY` write one. Programs in
 * Rust see padding as fields of their own; so declare it, if they are to open it.
 */
typedef struct coview_field {
    /**
     * Its name.
     */
    const char *name;
    /**
     * Its `offsetof`.
     */
    size_t offset;
    /**
     * Of the field, or of an array's elements.
     */
    coview_type kind;
    /**
     * Of an array, outermost first; 0 ends them.
     */
    uint32_t lengths[4];
    /**
     * Of a struct.
     */
    const struct coview_layout *record;
} coview_field;

/**
 * The layout of a value. `COVIEW_LAYOUT`, `COVIEW_LAYOUT_ARRAY`, `COVIEW_LAYOUT_RECORD` write one.
 */
typedef struct coview_layout {
    /**
     * Of the value, or of an array's elements.
     */
    coview_type kind;
    /**
     * Of an array, outermost first; 0 ends them.
     */
    uint32_t lengths[4];
    /**
     * Of a struct: its name, which is a part of its layout.
     */
    const char *name;
    /**
     * Of a struct: its `sizeof`.
     */
    size_t size;
    /**
     * Of a struct.
     */
    const struct coview_field *fields;
    /**
     * Of a struct.
     */
    size_t field_count;
} coview_layout;

/**
 * How a region is made or opened. Zeros: for its creator alone, opened to be read and written.
 */
typedef struct coview_region_options {
    /**
     * `sizeof(coview_region_options)`.
     */
    size_t struct_size;
    /**
     * None yet.
     */
    uint32_t flags;
    /**
     * What it is opened for.
     */
    coview_access access;
    /**
     * How long opening waits for somebody to make it; 0: not at all.
     */
    uint32_t timeout_ms;
    /**
     * Who may open a new one by name.
     */
    struct coview_share share;
} coview_region_options;

/**
 * How a latest value is made. Zeros: for one writer, for its creator alone.
 */
typedef struct coview_latest_options {
    /**
     * `sizeof(coview_latest_options)`.
     */
    size_t struct_size;
    /**
     * `COVIEW_SEVERAL` or 0.
     */
    uint32_t flags;
    /**
     * Who may open it by name.
     */
    struct coview_share share;
} coview_latest_options;

/**
 * How a ring is made. Zeros: 64 KiB, for one sender, for its creator alone.
 */
typedef struct coview_ring_options {
    /**
     * `sizeof(coview_ring_options)`.
     */
    size_t struct_size;
    /**
     * Bytes for records, rounded up to a power of two from 4 KiB to 1 GiB. A record takes 8 bytes more than it has, in steps of
     * 8.
     */
    size_t capacity;
    /**
     * Of `COVIEW_SEVERAL`, `COVIEW_POLLING`.
     */
    uint32_t flags;
    /**
     * Who may open it by name.
     */
    struct coview_share share;
} coview_ring_options;

/**
 * What is called for each record: with what the caller gave, and the record, in place. It must return, and must not use the
 * receiver.
 */
typedef void (*coview_record_callback)(void *user, const void *data, size_t len);

/**
 * How frames are made. Zeros: frames of at most 64 KiB, 1 MiB for them or 8 frames, a history of one, for their creator alone.
 */
typedef struct coview_frames_options {
    /**
     * `sizeof(coview_frames_options)`.
     */
    size_t struct_size;
    /**
     * The bytes of the largest frame.
     */
    size_t slot;
    /**
     * The bytes for all frames together: at least four frames, at most 1024.
     */
    size_t budget;
    /**
     * How many frames from before it came a new subscriber gets; 0: one; or `COVIEW_NO_HISTORY`.
     */
    uint32_t history;
    /**
     * None yet.
     */
    uint32_t flags;
    /**
     * Who may open them by name.
     */
    struct coview_share share;
} coview_frames_options;

/**
 * Room for a frame, in shared memory.
 */
typedef struct coview_loan {
    /**
     * Where it is; what it holds at first is anything.
     */
    void *data;
    /**
     * Its bytes. Made less, only so many are published.
     */
    size_t len;
} coview_loan;

/**
 * A received frame, in place.
 */
typedef struct coview_frame {
    /**
     * Where it is.
     */
    const void *data;
    /**
     * Its bytes.
     */
    size_t len;
    /**
     * Its number: frames are counted from 1, in the order that everybody receives them in.
     */
    uint64_t number;
    /**
     * How many frames before this one the subscriber did not get.
     */
    uint64_t lost;
} coview_frame;

/**
 * An object, as it is listed.
 */
typedef struct coview_object {
    /**
     * `sizeof(coview_object)` of the library.
     */
    size_t struct_size;
    /**
     * The name, as it is written to open it.
     */
    const char *name;
    /**
     * Its size in bytes; 0 where it cannot be seen.
     */
    uint64_t size;
    /**
     * Bytes of memory that it occupies now; 0 where it cannot be seen.
     */
    uint64_t resident;
    /**
     * One of `COVIEW_KIND_...`.
     */
    uint32_t kind;
    /**
     * How many processes have it open, as far as this user may see them.
     */
    uint32_t holders;
    /**
     * Nobody has it: its bytes wait for the next sweep, its name is free.
     */
    bool stale;
} coview_object;

/**
 * What is called for each object, with what the caller gave; the object is good until it returns. `false` ends the listing.
 */
typedef bool (*coview_object_callback)(void *user, const struct coview_object *object);

/**
 * Done.
 */
#define COVIEW_OK 0

/**
 * No live object has the name.
 */
#define COVIEW_NOT_FOUND 1

/**
 * A live object has the name already; or the end of a channel is taken.
 */
#define COVIEW_ALREADY_EXISTS 2

/**
 * The access list, the protection or the operating system forbids it.
 */
#define COVIEW_ACCESS_DENIED 3

/**
 * The name belongs to an object of another kind.
 */
#define COVIEW_WRONG_KIND 4

/**
 * The time allowed is over.
 */
#define COVIEW_TIMED_OUT 5

/**
 * The name breaks a rule.
 */
#define COVIEW_INVALID_NAME 6

/**
 * An argument or an option makes no sense: NULL, a number that means nothing, a loan that is none.
 */
#define COVIEW_INVALID_INPUT 7

/**
 * An offset or a length lies outside the object.
 */
#define COVIEW_OUT_OF_RANGE 8

/**
 * The memory, space or address range cannot be had.
 */
#define COVIEW_OUT_OF_MEMORY 9

/**
 * The bytes behind the object were truncated, moved or removed.
 */
#define COVIEW_VANISHED 10

/**
 * What another process left in shared memory is not what its format promises.
 */
#define COVIEW_CORRUPT 11

/**
 * This system or this kind of object cannot do it.
 */
#define COVIEW_UNSUPPORTED 12

/**
 * Any other refusal by the operating system.
 */
#define COVIEW_OS 13

/**
 * A process at the other end of a channel died; told once for each death.
 */
#define COVIEW_PEER_DIED 14

/**
 * The object holds values of another layout than was asked for; the text names the first difference.
 */
#define COVIEW_WRONG_LAYOUT 15

/**
 * Answer: not now, and waiting was not allowed (a timeout of 0).
 */
#define COVIEW_WOULD_BLOCK 100

/**
 * Answer: the mutex is yours, but its last owner died with it: check what it guards.
 */
#define COVIEW_ABANDONED 101

/**
 * Answer: there is no room for it; nothing was changed.
 */
#define COVIEW_FULL 102

/**
 * Answer: there is nothing (more): no value yet, no further window.
 */
#define COVIEW_NONE 103

/**
 * A bug in coview, which went no further; please report its text.
 */
#define COVIEW_BUG 104

/**
 * Reads and writes it.
 */
#define COVIEW_READ_WRITE 0

/**
 * Reads it.
 */
#define COVIEW_READ 1

/**
 * Reads it, and writes to a private copy of each page it touches.
 */
#define COVIEW_COPY_ON_WRITE 2

/**
 * `uint8_t`, and text.
 */
#define COVIEW_TYPE_U8 1

/**
 * `uint16_t`.
 */
#define COVIEW_TYPE_U16 2

/**
 * `uint32_t`.
 */
#define COVIEW_TYPE_U32 3

/**
 * `uint64_t`.
 */
#define COVIEW_TYPE_U64 4

/**
 * `int8_t`.
 */
#define COVIEW_TYPE_I8 5

/**
 * `int16_t`.
 */
#define COVIEW_TYPE_I16 6

/**
 * `int32_t`.
 */
#define COVIEW_TYPE_I32 7

/**
 * `int64_t`.
 */
#define COVIEW_TYPE_I64 8

/**
 * `float`.
 */
#define COVIEW_TYPE_F32 9

/**
 * `double`.
 */
#define COVIEW_TYPE_F64 10

/**
 * A struct.
 */
#define COVIEW_TYPE_RECORD 11

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The text of this thread's last call that did not give `COVIEW_OK`: what was refused, to whom, and what to do next. "" if
 * there was none. Good until this thread's next such call; never NULL.
 */
const char *coview_last_error(void);

/**
 * A status in words: "not found". Never NULL.
 */
const char *coview_status_name(coview_status status);

/**
 * The version of the library that runs: "0.1.0". `COVIEW_VERSION` is that of the header.
 */
const char *coview_version(void);

/**
 * Makes a mapping of that name, or an unnamed one if `name` is NULL. `size` in bytes; 0: as large as its file. `options` may
 * be NULL.
 */
coview_status coview_mapping_create(const char *name,
                                    uint64_t size,
                                    const struct coview_mapping_options *options,
                                    struct coview_mapping **mapping);

/**
 * Makes a mapping of that name or opens the live one, which keeps its size and contents. `created` (may be NULL): which.
 */
coview_status coview_mapping_open_or_create(const char *name,
                                            uint64_t size,
                                            const struct coview_mapping_options *options,
                                            struct coview_mapping **mapping,
                                            bool *created);

/**
 * Opens the live mapping of that name, or foreign memory (`posix:/x`, `sysv:0x1234`, `file:/path`).
 */
coview_status coview_mapping_open(const char *name, coview_access access, struct coview_mapping **mapping);

/**
 * Opens the mapping that the parent process handed over under `key`, by `coview_mapping_hand_over` or from another language.
 */
coview_status coview_mapping_inherited(const char *key,
                                       struct coview_mapping **mapping);

/**
 * Makes the mapping inheritable and writes what the child's environment must have for it, as `NAME=VALUE`, to `text`, which has
 * `size` bytes; the child calls `coview_mapping_inherited` with the same key. `length` (may be NULL): of the text without its
 * NUL; `COVIEW_OUT_OF_RANGE` if that does not fit. Keep the mapping open until the child has been started.
 */
coview_status coview_mapping_hand_over(const struct coview_mapping *mapping,
                                       const char *key,
                                       void *text,
                                       size_t size,
                                       size_t *length);

/**
 * Another handle on the same mapping.
 */
coview_status coview_mapping_clone(const struct coview_mapping *mapping, struct coview_mapping **clone);

/**
 * Closes the handle. Views of it stay. NULL does nothing; closing twice is as freeing twice.
 */
void coview_mapping_close(struct coview_mapping *mapping);

/**
 * Its size in bytes: whole pages for memory, exact for files. 0 for NULL.
 */
uint64_t coview_mapping_size(const struct coview_mapping *mapping);

/**
 * The most that views through this handle can do: `COVIEW_READ_WRITE` or `COVIEW_READ`.
 */
coview_access coview_mapping_access(const struct coview_mapping *mapping);

/**
 * Commits `len` bytes from `offset` of a reserved mapping, in whole pages, for every view of every process.
 */
coview_status coview_mapping_commit(const struct coview_mapping *mapping, uint64_t offset, uint64_t len);

/**
 * Maps `len` bytes from `offset` of the mapping; 0: to its end. Any offset: the view aligns for itself.
 */
coview_status coview_view_open(const struct coview_mapping *mapping,
                               coview_access access,
                               uint64_t offset,
                               uint64_t len,
                               struct coview_view **view);

/**
 * Unmaps it: pointers into it are no longer good. NULL does nothing; closing twice is as freeing twice.
 */
void coview_view_close(struct coview_view *view);

/**
 * The address of its first byte; good for `coview_view_len` bytes until it is closed, for writing if it was opened so. Other
 * processes may write there at any time: use atomics or a lock. NULL for NULL.
 */
void *coview_view_data(const struct coview_view *view);

/**
 * Bytes it shows. 0 for NULL.
 */
size_t coview_view_len(const struct coview_view *view);

/**
 * Where in the mapping it begins, in bytes. 0 for NULL.
 */
uint64_t coview_view_offset(const struct coview_view *view);

/**
 * Copies `len` bytes out, from `offset` in the view. Refused if they do not lie inside, or are not committed.
 */
coview_status coview_view_read(const struct coview_view *view, size_t offset, void *into, size_t len);

/**
 * Copies `len` bytes in, to `offset` in the view. Refused if they do not lie inside, are not committed, or the view is for
 * reading. `from` does not lie in the same view.
 */
coview_status coview_view_write(const struct coview_view *view,
                                size_t offset,
                                const void *from,
                                size_t len);

/**
 * Writes `len` bytes from `offset` in the view to the file behind the mapping; 0: to its end. Returns when the device has
 * them. Other views need no flush.
 */
coview_status coview_view_flush(const struct coview_view *view,
                                size_t offset,
                                size_t len);

/**
 * Begins a walk over a mapping in views of `len` bytes, each beginning with the last `overlap` bytes of the one before, so that a
 * record of up to `overlap` + 1 bytes lies whole in one of them.
 */
coview_status coview_windows_open(const struct coview_mapping *mapping,
                                  coview_access access,
                                  size_t len,
                                  size_t overlap,
                                  struct coview_windows **windows);

/**
 * The next window, or `COVIEW_NONE` behind the last one. Close each before the next to have only one mapped.
 */
coview_status coview_windows_next(struct coview_windows *windows, struct coview_view **view);

/**
 * Ends the walk; its views stay. NULL does nothing.
 */
void coview_windows_close(struct coview_windows *windows);

/**
 * Makes a mutex that nobody has. `options` may be NULL.
 */
coview_status coview_mutex_create(const char *name,
                                  const struct coview_sync_options *options,
                                  struct coview_mutex **mutex);

/**
 * Makes a mutex or opens the live one. `created` (may be NULL): which.
 */
coview_status coview_mutex_open_or_create(const char *name,
                                          const struct coview_sync_options *options,
                                          struct coview_mutex **mutex,
                                          bool *created);

/**
 * Opens the live mutex of that name.
 */
coview_status coview_mutex_open(const char *name, struct coview_mutex **mutex);

/**
 * Closes the handle. A thread that has the mutex gives it back first. NULL does nothing.
 */
void coview_mutex_close(struct coview_mutex *mutex);

/**
 * Takes it. `COVIEW_OK`: it is this thread's. `COVIEW_ABANDONED`: so it is, and its last owner died with it. Otherwise it is
 * not: `COVIEW_WOULD_BLOCK`, `COVIEW_TIMED_OUT`, an error.
 */
coview_status coview_mutex_lock(const struct coview_mutex *mutex,
                                uint32_t timeout_ms);

/**
 * Gives it back once. Refused if this thread does not have it.
 */
coview_status coview_mutex_unlock(const struct coview_mutex *mutex);

/**
 * Makes an event. `options` may be NULL.
 */
coview_status coview_event_create(const char *name,
                                  const struct coview_sync_options *options,
                                  struct coview_event **event);

/**
 * Makes an event or opens the live one, which stays as it is. `created` (may be NULL): which.
 */
coview_status coview_event_open_or_create(const char *name,
                                          const struct coview_sync_options *options,
                                          struct coview_event **event,
                                          bool *created);

/**
 * Opens the live event of that name.
 */
coview_status coview_event_open(const char *name, struct coview_event **event);

/**
 * Closes the handle. NULL does nothing.
 */
void coview_event_close(struct coview_event *event);

/**
 * Sets it.
 */
coview_status coview_event_set(const struct coview_event *event);

/**
 * Resets it.
 */
coview_status coview_event_reset(const struct coview_event *event);

/**
 * Waits until it is set; resets it unless it was made with `COVIEW_MANUAL_RESET`.
 */
coview_status coview_event_wait(const struct coview_event *event, uint32_t timeout_ms);

/**
 * Makes a semaphore with `count` permits to begin with and `maximum` at most. `options` may be NULL.
 */
coview_status coview_semaphore_create(const char *name,
                                      uint32_t count,
                                      uint32_t maximum,
                                      const struct coview_sync_options *options,
                                      struct coview_semaphore **semaphore);

/**
 * Makes a semaphore or opens the live one, which keeps its count and maximum. `created` (may be NULL): which.
 */
coview_status coview_semaphore_open_or_create(const char *name,
                                              uint32_t count,
                                              uint32_t maximum,
                                              const struct coview_sync_options *options,
                                              struct coview_semaphore **semaphore,
                                              bool *created);

/**
 * Opens the live semaphore of that name.
 */
coview_status coview_semaphore_open(const char *name, struct coview_semaphore **semaphore);

/**
 * Closes the handle; permits that were taken stay taken. NULL does nothing.
 */
void coview_semaphore_close(struct coview_semaphore *semaphore);

/**
 * Takes a permit.
 */
coview_status coview_semaphore_acquire(const struct coview_semaphore *semaphore, uint32_t timeout_ms);

/**
 * Gives `count` permits back, or none and `COVIEW_FULL` if that would exceed the maximum. `before` (may be NULL): how many there
 * were.
 */
coview_status coview_semaphore_release(const struct coview_semaphore *semaphore,
                                       uint32_t count,
                                       uint32_t *before);

/**
 * Waits until one of 1 to 64 objects can be had, and has it; the first of them, if it is several. `index` (may be NULL): which.
 * `COVIEW_ABANDONED` if it is a mutex whose last owner died with it.
 */
coview_status coview_wait_any(const struct coview_waitable *objects,
                              size_t count,
                              uint32_t timeout_ms,
                              size_t *index);

/**
 * Waits until all of 1 to 64 objects can be had at once, and has them; until then it has none. `COVIEW_ABANDONED` if the last
 * owner of a mutex died with it; `abandoned` (may be NULL, else `count` of them): of which.
 */
coview_status coview_wait_all(const struct coview_waitable *objects,
                              size_t count,
                              uint32_t timeout_ms,
                              bool *abandoned);

/**
 * Makes a region of that name and layout with this value, which has as many bytes as the layout says. `options` may be NULL.
 */
coview_status coview_region_create(const char *name,
                                   const struct coview_layout *layout,
                                   const void *value,
                                   const struct coview_region_options *options,
                                   struct coview_region **region);

/**
 * Makes a region as `coview_region_create` does, or opens the live one, whose value stays. `created` (may be NULL): which.
 */
coview_status coview_region_open_or_create(const char *name,
                                           const struct coview_layout *layout,
                                           const void *value,
                                           const struct coview_region_options *options,
                                           struct coview_region **region,
                                           bool *created);

/**
 * Opens the live region of that name. `COVIEW_WRONG_LAYOUT` if its value has another layout; `layout` may be NULL: any.
 */
coview_status coview_region_open(const char *name,
                                 const struct coview_layout *layout,
                                 const struct coview_region_options *options,
                                 struct coview_region **region);

/**
 * Closes it: pointers into it are no longer good. NULL does nothing.
 */
void coview_region_close(struct coview_region *region);

/**
 * Bytes of its value. 0 for NULL.
 */
size_t coview_region_len(const struct coview_region *region);

/**
 * The address of its value; good until it is closed, for writing if it was opened so. Other processes may write there at any
 * time: use atomics or a lock. NULL for NULL.
 */
void *coview_region_data(const struct coview_region *region);

/**
 * Copies `len` bytes of the value out, from `offset`; a mixture of two if somebody writes meanwhile.
 */
coview_status coview_region_read(const struct coview_region *region, size_t offset, void *into, size_t len);

/**
 * Copies `len` bytes in, over the value at `offset`; who reads meanwhile gets a mixture.
 */
coview_status coview_region_write(const struct coview_region *region,
                                  size_t offset,
                                  const void *from,
                                  size_t len);

/**
 * Writes the layout of the live region, or latest value, of that name to `text`, which has `size` bytes, as a C programmer reads it: `struct Student
 * { i32 id; u8 name[20]; }`. `length` (may be NULL): of the text without its NUL; `COVIEW_OUT_OF_RANGE` if that does not fit.
 */
coview_status coview_region_describe(const char *name,
                                     void *text,
                                     size_t size,
                                     size_t *length);

/**
 * Makes one of that name for values of this layout, without a value yet. `options` may be NULL.
 */
coview_status coview_latest_create(const char *name,
                                   const struct coview_layout *layout,
                                   const struct coview_latest_options *options,
                                   struct coview_latest **latest);

/**
 * Makes one of that name or opens the live one.
 */
coview_status coview_latest_open_or_create(const char *name,
                                           const struct coview_layout *layout,
                                           const struct coview_latest_options *options,
                                           struct coview_latest **latest);

/**
 * Opens the live one of that name. `COVIEW_WRONG_LAYOUT` if its values have another layout; `layout` may be NULL: any.
 */
coview_status coview_latest_open(const char *name,
                                 const struct coview_layout *layout,
                                 struct coview_latest **latest);

/**
 * Closes it; its ends stay. NULL does nothing.
 */
void coview_latest_close(struct coview_latest *latest);

/**
 * Bytes of a value. 0 for NULL.
 */
size_t coview_latest_len(const struct coview_latest *latest);

/**
 * Attaches a writer. `COVIEW_ALREADY_EXISTS` if somebody writes already and it is for one.
 */
coview_status coview_writer_open(const struct coview_latest *latest, struct coview_writer **writer);

/**
 * Ends it; the newest value stays, and another writer may come. NULL does nothing.
 */
void coview_writer_close(struct coview_writer *writer);

/**
 * Makes these the bytes of the newest value, and wakes readers that wait for one. `len` is the size of a value.
 */
coview_status coview_writer_set(struct coview_writer *writer,
                                const void *value,
                                size_t len);

/**
 * Makes a reader, of which there can be any number.
 */
coview_status coview_reader_open(const struct coview_latest *latest, struct coview_reader **reader);

/**
 * Ends it. NULL does nothing.
 */
void coview_reader_close(struct coview_reader *reader);

/**
 * Copies the newest value out; `COVIEW_NONE` if there has been none yet. `len` is the size of a value.
 */
coview_status coview_reader_read(struct coview_reader *reader, void *into, size_t len);

/**
 * Copies the newest value out once it is another than the last that this reader got. `COVIEW_PEER_DIED`, once for each death,
 * when a writer died.
 */
coview_status coview_reader_changed(struct coview_reader *reader,
                                    void *into,
                                    size_t len,
                                    uint32_t timeout_ms);

/**
 * Makes a ring of that name. `options` may be NULL.
 */
coview_status coview_ring_create(const char *name,
                                 const struct coview_ring_options *options,
                                 struct coview_ring **ring);

/**
 * Makes a ring of that name or opens the live one, which keeps its capacity.
 */
coview_status coview_ring_open_or_create(const char *name,
                                         const struct coview_ring_options *options,
                                         struct coview_ring **ring);

/**
 * Opens the live ring of that name.
 */
coview_status coview_ring_open(const char *name, struct coview_ring **ring);

/**
 * Closes it; its ends stay. NULL does nothing.
 */
void coview_ring_close(struct coview_ring *ring);

/**
 * Bytes for records. 0 for NULL.
 */
size_t coview_ring_capacity(const struct coview_ring *ring);

/**
 * Attaches a sender. `COVIEW_ALREADY_EXISTS` if somebody sends already and the ring is for one.
 */
coview_status coview_sender_open(const struct coview_ring *ring, struct coview_sender **sender);

/**
 * Ends it; what it claimed and did not commit was never there. NULL does nothing.
 */
void coview_sender_close(struct coview_sender *sender);

/**
 * The most bytes that a record can have. 0 for NULL.
 */
size_t coview_sender_record_max(struct coview_sender *sender);

/**
 * Sends a record, waiting for room. `COVIEW_PEER_DIED`, once, if the ring is full and its receiver died.
 */
coview_status coview_sender_send(struct coview_sender *sender,
                                 const void *record,
                                 size_t len,
                                 uint32_t timeout_ms);

/**
 * Claims room for a record of `len` bytes, to be filled in place and sent by `coview_sender_commit`. `data`: where; good until
 * then.
 */
coview_status coview_sender_claim(struct coview_sender *sender,
                                  size_t len,
                                  uint32_t timeout_ms,
                                  void **data);

/**
 * Begins a batch: records that are sent together, by `coview_sender_commit`.
 */
coview_status coview_sender_batch(struct coview_sender *sender);

/**
 * Adds a record to the batch; `COVIEW_FULL` if there is no room now: commit what there is.
 */
coview_status coview_sender_push(struct coview_sender *sender, const void *record, size_t len);

/**
 * Sends the first `len` bytes of what was claimed as one record; or all of the batch, with any `len`.
 */
coview_status coview_sender_commit(struct coview_sender *sender, size_t len);

/**
 * Gives up what was claimed, or the batch: it was never there. Without either, or for NULL, it does nothing.
 */
void coview_sender_abort(struct coview_sender *sender);

/**
 * Attaches the receiver, which goes on where the one before was. `COVIEW_ALREADY_EXISTS` if somebody receives already.
 */
coview_status coview_receiver_open(const struct coview_ring *ring,
                                   struct coview_receiver **receiver);

/**
 * Ends it; what it has not received waits for another. A record that it had is received. NULL does nothing.
 */
void coview_receiver_close(struct coview_receiver *receiver);

/**
 * The next record, in place: `data` and `len`, good until the next call with this receiver, which gives its room back.
 * `COVIEW_PEER_DIED`, once for each death, when a sender died and all that it had committed has been received.
 */
coview_status coview_receiver_receive(struct coview_receiver *receiver,
                                      uint32_t timeout_ms,
                                      const void **data,
                                      size_t *len);

/**
 * Gives the room of the received record back, as the next call would. Without one, or for NULL, it does nothing.
 */
void coview_receiver_release(struct coview_receiver *receiver);

/**
 * Leaves the received record there: the next call gives it again, here or in another process. Without one, or for NULL, it does
 * nothing.
 */
void coview_receiver_leave(struct coview_receiver *receiver);

/**
 * Calls back for every record that is there now. `count` (may be NULL): how many there were.
 */
coview_status coview_receiver_drain(struct coview_receiver *receiver,
                                    coview_record_callback callback,
                                    void *user,
                                    size_t *count);

/**
 * Makes frames of that name. `options` may be NULL.
 */
coview_status coview_frames_create(const char *name,
                                   const struct coview_frames_options *options,
                                   struct coview_frames **frames);

/**
 * Makes frames of that name or opens the live ones, which keep their sizes.
 */
coview_status coview_frames_open_or_create(const char *name,
                                           const struct coview_frames_options *options,
                                           struct coview_frames **frames);

/**
 * Opens the live ones of that name.
 */
coview_status coview_frames_open(const char *name, struct coview_frames **frames);

/**
 * Closes them; their ends stay. NULL does nothing.
 */
void coview_frames_close(struct coview_frames *frames);

/**
 * The bytes of the largest frame. 0 for NULL.
 */
size_t coview_frames_slot(const struct coview_frames *frames);

/**
 * Attaches a publisher.
 */
coview_status coview_publisher_open(const struct coview_frames *frames, struct coview_publisher **publisher);

/**
 * Ends it, and gives its loans back unpublished. NULL does nothing.
 */
void coview_publisher_close(struct coview_publisher *publisher);

/**
 * Room for a frame of `len` bytes, waiting for it. It is given back by `coview_publisher_publish`, `coview_publisher_abort` or the end
 * of the publisher.
 */
coview_status coview_publisher_loan(struct coview_publisher *publisher,
                                    size_t len,
                                    uint32_t timeout_ms,
                                    struct coview_loan **loan);

/**
 * Publishes the first `loan->len` bytes of it. It waits for subscribers with `COVIEW_EVERY_FRAME` that have not taken what makes room;
 * when the time is over the loan stays. After any other answer it is gone.
 */
coview_status coview_publisher_publish(struct coview_publisher *publisher,
                                       struct coview_loan *loan,
                                       uint32_t timeout_ms);

/**
 * Gives a loan back unpublished.
 */
coview_status coview_publisher_abort(struct coview_publisher *publisher, struct coview_loan *loan);

/**
 * Publishes a copy of these bytes, waiting for room.
 */
coview_status coview_publisher_send(struct coview_publisher *publisher,
                                    const void *frame,
                                    size_t len,
                                    uint32_t timeout_ms);

/**
 * How many processes subscribe now, as far as anybody has noticed. 0 for NULL.
 */
size_t coview_publisher_subscribers(const struct coview_publisher *publisher);

/**
 * Attaches a subscriber, which begins with the history. `policy`: what happens when it is slower than the publishers; one of
 * `COVIEW_EVERY_FRAME`, `COVIEW_DROP_OLDEST`, `COVIEW_NEWEST_ONLY`.
 */
coview_status coview_subscriber_open(const struct coview_frames *frames,
                                     uint32_t policy,
                                     struct coview_subscriber **subscriber);

/**
 * Ends it, and gives its frames back. NULL does nothing.
 */
void coview_subscriber_close(struct coview_subscriber *subscriber);

/**
 * The next frame, in place, waiting for it; good until `coview_subscriber_release` or the end of the subscriber.
 * `COVIEW_PEER_DIED`, once for each death, when a publisher died and all that it published has been received.
 */
coview_status coview_subscriber_receive(struct coview_subscriber *subscriber,
                                        uint32_t timeout_ms,
                                        const struct coview_frame **frame);

/**
 * Gives a frame back: its room is free when the others have read it.
 */
coview_status coview_subscriber_release(struct coview_subscriber *subscriber,
                                        const struct coview_frame *frame);

/**
 * Calls back for each named object that this user sees; with `everything` also for the shared memory of other programs.
 */
coview_status coview_list(bool everything,
                          coview_object_callback callback,
                          void *user);

/**
 * Gives back what dead processes left, as the next operation of anybody would. `objects`, `bytes` (may be NULL): how much it was.
 */
coview_status coview_sweep(size_t *objects,
                           uint64_t *bytes);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* COVIEW_H */
