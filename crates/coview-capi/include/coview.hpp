// coview.hpp: coview.h for C++17: handles that close themselves, and exceptions for what was refused.
//
// Functions throw coview::error when something was refused; normal answers ("not yet", "nothing") are return values.
// Handles are moved, not copied. Timeouts are milliseconds, coview::forever waits for as long as it takes, and
// milliseconds(0) looks and does not wait.

#ifndef COVIEW_HPP
#define COVIEW_HPP

#include "coview.h"

#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if __cplusplus >= 202002L
#include <span>
#endif

namespace coview {

using milliseconds = std::chrono::milliseconds;

/// For as long as it takes.
inline constexpr milliseconds forever{-1};

/// What was refused: what() says what, to whom, and what to do next.
class error : public std::runtime_error {
public:
    error(coview_status status, const std::string &text) : std::runtime_error(text), status_(status) {}

    /// COVIEW_NOT_FOUND and so on.
    coview_status status() const noexcept { return status_; }

private:
    coview_status status_;
};

namespace detail {

/// 0 to one less than COVIEW_FOREVER, which any other is.
inline std::uint32_t timeout(milliseconds time) noexcept {
    return time.count() < 0 || time.count() >= COVIEW_FOREVER ? COVIEW_FOREVER : static_cast<std::uint32_t>(time.count());
}

inline void check(coview_status status) {
    if (status != COVIEW_OK) {
        throw error(status, coview_last_error());
    }
}

/// Whether it was had; false: the time is over.
inline bool had(coview_status status) {
    if (status == COVIEW_WOULD_BLOCK || status == COVIEW_TIMED_OUT) {
        return false;
    }
    check(status);
    return true;
}

/// A handle that closes itself.
template <typename T, void (*Close)(T *)>
class handle {
public:
    handle() noexcept = default;
    explicit handle(T *raw) noexcept : raw_(raw) {}
    handle(handle &&other) noexcept : raw_(other.release()) {}
    handle &operator=(handle &&other) noexcept {
        reset(other.release());
        return *this;
    }
    handle(const handle &) = delete;
    handle &operator=(const handle &) = delete;
    ~handle() { reset(); }

    /// For functions of coview.h.
    T *get() const noexcept { return raw_; }
    T *release() noexcept { return std::exchange(raw_, nullptr); }
    /// Closes it now.
    void reset(T *raw = nullptr) noexcept {
        if (T *old = std::exchange(raw_, raw)) {
            Close(old);
        }
    }
    explicit operator bool() const noexcept { return raw_ != nullptr; }

protected:
    /// Where a function puts the handle.
    T **out() noexcept {
        reset();
        return &raw_;
    }

private:
    T *raw_ = nullptr;
};

template <typename T>
T options() noexcept {
    T zeros{};
    zeros.struct_size = sizeof(T);
    return zeros;
}

} // namespace detail

/// Options with their size filled in, and what is usual.
inline coview_mapping_options mapping_options() noexcept { return detail::options<coview_mapping_options>(); }
inline coview_sync_options sync_options() noexcept { return detail::options<coview_sync_options>(); }
inline coview_region_options region_options() noexcept { return detail::options<coview_region_options>(); }
inline coview_latest_options latest_options() noexcept { return detail::options<coview_latest_options>(); }
inline coview_ring_options ring_options() noexcept { return detail::options<coview_ring_options>(); }
inline coview_frames_options frames_options() noexcept { return detail::options<coview_frames_options>(); }

/// Bytes that somebody else owns.
struct bytes {
    const void *data = nullptr;
    std::size_t len = 0;

#if __cplusplus >= 202002L
    std::span<const std::byte> span() const noexcept { return {static_cast<const std::byte *>(data), len}; }
#endif
    std::string string() const { return std::string(static_cast<const char *>(data), len); }
};

/// A mapped range of a mapping.
class view : public detail::handle<coview_view, coview_view_close> {
public:
    view() noexcept = default;
    view(const coview_mapping *mapping, coview_access access, std::uint64_t offset, std::uint64_t len) {
        detail::check(coview_view_open(mapping, access, offset, len, out()));
    }
    explicit view(coview_view *raw) noexcept : handle(raw) {}

    void *data() const noexcept { return coview_view_data(get()); }
    std::size_t size() const noexcept { return coview_view_len(get()); }
    std::uint64_t offset() const noexcept { return coview_view_offset(get()); }
    void read(std::size_t offset, void *into, std::size_t len) const {
        detail::check(coview_view_read(get(), offset, into, len));
    }
    void write(std::size_t offset, const void *from, std::size_t len) const {
        detail::check(coview_view_write(get(), offset, from, len));
    }
    /// A copy of a plain value.
    template <typename T>
    T read(std::size_t offset = 0) const {
        static_assert(std::is_trivially_copyable<T>::value, "only plain values can be shared");
        T value;
        read(offset, &value, sizeof value);
        return value;
    }
    template <typename T>
    void write(std::size_t offset, const T &value) const {
        static_assert(std::is_trivially_copyable<T>::value, "only plain values can be shared");
        write(offset, &value, sizeof value);
    }
    void flush(std::size_t offset = 0, std::size_t len = 0) const { detail::check(coview_view_flush(get(), offset, len)); }
#if __cplusplus >= 202002L
    /// Other processes may write there at any time: use atomics or a lock.
    std::span<std::byte> span() const noexcept { return {static_cast<std::byte *>(data()), size()}; }
#endif
};

/// Memory that several processes map views of.
class mapping : public detail::handle<coview_mapping, coview_mapping_close> {
public:
    static mapping create(const std::string &name, std::uint64_t size,
                          const coview_mapping_options &options = mapping_options()) {
        mapping made;
        detail::check(coview_mapping_create(name.c_str(), size, &options, made.out()));
        return made;
    }
    static mapping create_unnamed(std::uint64_t size, const coview_mapping_options &options = mapping_options()) {
        mapping made;
        detail::check(coview_mapping_create(nullptr, size, &options, made.out()));
        return made;
    }
    static mapping open_or_create(const std::string &name, std::uint64_t size, bool *created = nullptr,
                                  const coview_mapping_options &options = mapping_options()) {
        mapping made;
        detail::check(coview_mapping_open_or_create(name.c_str(), size, &options, made.out(), created));
        return made;
    }
    static mapping open(const std::string &name, coview_access access = COVIEW_READ_WRITE) {
        mapping made;
        detail::check(coview_mapping_open(name.c_str(), access, made.out()));
        return made;
    }
    static mapping inherited(const std::string &key) {
        mapping made;
        detail::check(coview_mapping_inherited(key.c_str(), made.out()));
        return made;
    }

    std::uint64_t size() const noexcept { return coview_mapping_size(get()); }
    coview::view view(coview_access access = COVIEW_READ_WRITE, std::uint64_t offset = 0, std::uint64_t len = 0) const {
        return coview::view(get(), access, offset, len);
    }
    void commit(std::uint64_t offset, std::uint64_t len) const { detail::check(coview_mapping_commit(get(), offset, len)); }
    /// "NAME=VALUE" for the environment of a child, which calls inherited().
    std::string hand_over(const std::string &key) const {
        std::size_t len = 0;
        detail::check(coview_mapping_hand_over(get(), key.c_str(), nullptr, 0, &len));
        std::vector<char> text(len + 1);
        detail::check(coview_mapping_hand_over(get(), key.c_str(), text.data(), text.size(), nullptr));
        return std::string(text.data(), len);
    }
    /// Calls `each` with one view of `len` bytes after the other, which overlap.
    template <typename Each>
    void windows(coview_access access, std::size_t len, std::size_t overlap, Each each) const {
        struct walk : detail::handle<coview_windows, coview_windows_close> {
            using handle::out;
        } windows;
        detail::check(coview_windows_open(get(), access, len, overlap, windows.out()));
        for (;;) {
            coview_view *next = nullptr;
            coview_status status = coview_windows_next(windows.get(), &next);
            if (status == COVIEW_NONE) {
                return;
            }
            detail::check(status);
            each(coview::view(next));
        }
    }
};

/// A named mutex; std::lock_guard takes it, and lock_timeout tells more.
class mutex : public detail::handle<coview_mutex, coview_mutex_close> {
public:
    static mutex create(const std::string &name, const coview_sync_options &options = sync_options()) {
        mutex made;
        detail::check(coview_mutex_create(name.c_str(), &options, made.out()));
        return made;
    }
    static mutex open_or_create(const std::string &name, bool *created = nullptr,
                                const coview_sync_options &options = sync_options()) {
        mutex made;
        detail::check(coview_mutex_open_or_create(name.c_str(), &options, made.out(), created));
        return made;
    }
    static mutex open(const std::string &name) {
        mutex made;
        detail::check(coview_mutex_open(name.c_str(), made.out()));
        return made;
    }

    /// COVIEW_OK or COVIEW_ABANDONED: it is yours. COVIEW_WOULD_BLOCK or COVIEW_TIMED_OUT: it is not.
    [[nodiscard]] coview_status lock_timeout(milliseconds time) const {
        coview_status status = coview_mutex_lock(get(), detail::timeout(time));
        if (status != COVIEW_ABANDONED) {
            detail::had(status);
        }
        return status;
    }
    /// Whether its last owner died with it.
    bool lock() const { return lock_timeout(forever) == COVIEW_ABANDONED; }
    bool try_lock() const {
        coview_status status = lock_timeout(milliseconds(0));
        return status == COVIEW_OK || status == COVIEW_ABANDONED;
    }
    void unlock() const { detail::check(coview_mutex_unlock(get())); }
};

/// A named event.
class event : public detail::handle<coview_event, coview_event_close> {
public:
    static event create(const std::string &name, const coview_sync_options &options = sync_options()) {
        event made;
        detail::check(coview_event_create(name.c_str(), &options, made.out()));
        return made;
    }
    static event open_or_create(const std::string &name, bool *created = nullptr,
                                const coview_sync_options &options = sync_options()) {
        event made;
        detail::check(coview_event_open_or_create(name.c_str(), &options, made.out(), created));
        return made;
    }
    static event open(const std::string &name) {
        event made;
        detail::check(coview_event_open(name.c_str(), made.out()));
        return made;
    }

    void set() const { detail::check(coview_event_set(get())); }
    void reset_event() const { detail::check(coview_event_reset(get())); }
    /// Whether it was set in time.
    bool wait(milliseconds time = forever) const { return detail::had(coview_event_wait(get(), detail::timeout(time))); }
};

/// A named semaphore.
class semaphore : public detail::handle<coview_semaphore, coview_semaphore_close> {
public:
    static semaphore create(const std::string &name, std::uint32_t count, std::uint32_t maximum,
                            const coview_sync_options &options = sync_options()) {
        semaphore made;
        detail::check(coview_semaphore_create(name.c_str(), count, maximum, &options, made.out()));
        return made;
    }
    static semaphore open_or_create(const std::string &name, std::uint32_t count, std::uint32_t maximum,
                                    bool *created = nullptr, const coview_sync_options &options = sync_options()) {
        semaphore made;
        detail::check(coview_semaphore_open_or_create(name.c_str(), count, maximum, &options, made.out(), created));
        return made;
    }
    static semaphore open(const std::string &name) {
        semaphore made;
        detail::check(coview_semaphore_open(name.c_str(), made.out()));
        return made;
    }

    /// Whether a permit was had in time.
    bool acquire(milliseconds time = forever) const {
        return detail::had(coview_semaphore_acquire(get(), detail::timeout(time)));
    }
    /// How many permits there were; none were given back if that would exceed the maximum.
    std::optional<std::uint32_t> release(std::uint32_t count = 1) const {
        std::uint32_t before = 0;
        coview_status status = coview_semaphore_release(get(), count, &before);
        if (status == COVIEW_FULL) {
            return std::nullopt;
        }
        detail::check(status);
        return before;
    }
};

/// The object that was had, and whether it is a mutex whose last owner died with it.
struct fired {
    std::size_t index;
    bool abandoned;
};

inline coview_waitable waitable(const mutex &object) noexcept { return COVIEW_WAIT_MUTEX(object.get()); }
inline coview_waitable waitable(const event &object) noexcept { return COVIEW_WAIT_EVENT(object.get()); }
inline coview_waitable waitable(const semaphore &object) noexcept { return COVIEW_WAIT_SEMAPHORE(object.get()); }

/// Waits until one of `objects` can be had, and has it; nothing: the time is over.
inline std::optional<fired> wait_any(const std::vector<coview_waitable> &objects, milliseconds time = forever) {
    std::size_t index = 0;
    coview_status status = coview_wait_any(objects.data(), objects.size(), detail::timeout(time), &index);
    if (status == COVIEW_ABANDONED) {
        return fired{index, true};
    }
    return detail::had(status) ? std::optional<fired>(fired{index, false}) : std::nullopt;
}

/// A value that describes itself.
class region : public detail::handle<coview_region, coview_region_close> {
public:
    template <typename T>
    static region create(const std::string &name, const coview_layout &layout, const T &value,
                         const coview_region_options &options = region_options()) {
        static_assert(std::is_trivially_copyable<T>::value, "only plain values can be shared");
        region made;
        detail::check(coview_region_create(name.c_str(), &layout, &value, &options, made.out()));
        return made;
    }
    static region open(const std::string &name, const coview_layout &layout,
                       const coview_region_options &options = region_options()) {
        region made;
        detail::check(coview_region_open(name.c_str(), &layout, &options, made.out()));
        return made;
    }

    std::size_t size() const noexcept { return coview_region_len(get()); }
    void *data() const noexcept { return coview_region_data(get()); }
    template <typename T>
    T read(std::size_t offset = 0) const {
        static_assert(std::is_trivially_copyable<T>::value, "only plain values can be shared");
        T value;
        detail::check(coview_region_read(get(), offset, &value, sizeof value));
        return value;
    }
    template <typename T>
    void write(const T &value, std::size_t offset = 0) const {
        static_assert(std::is_trivially_copyable<T>::value, "only plain values can be shared");
        detail::check(coview_region_write(get(), offset, &value, sizeof value));
    }
};

/// The end of a latest value that writes.
class writer : public detail::handle<coview_writer, coview_writer_close> {
public:
    explicit writer(const coview_latest *latest) { detail::check(coview_writer_open(latest, out())); }
    template <typename T>
    void set(const T &value) {
        static_assert(std::is_trivially_copyable<T>::value, "only plain values can be shared");
        detail::check(coview_writer_set(get(), &value, sizeof value));
    }
};

/// A reader of a latest value.
class reader : public detail::handle<coview_reader, coview_reader_close> {
public:
    explicit reader(const coview_latest *latest) { detail::check(coview_reader_open(latest, out())); }
    /// Nothing: there has been no value yet.
    template <typename T>
    std::optional<T> read() {
        static_assert(std::is_trivially_copyable<T>::value, "only plain values can be shared");
        T value;
        coview_status status = coview_reader_read(get(), &value, sizeof value);
        if (status == COVIEW_NONE) {
            return std::nullopt;
        }
        detail::check(status);
        return value;
    }
    /// Nothing: there was no newer value in time.
    template <typename T>
    std::optional<T> changed(milliseconds time = forever) {
        static_assert(std::is_trivially_copyable<T>::value, "only plain values can be shared");
        T value;
        bool there = detail::had(coview_reader_changed(get(), &value, sizeof value, detail::timeout(time)));
        return there ? std::optional<T>(value) : std::nullopt;
    }
};

/// A value of which everybody gets the newest.
class latest : public detail::handle<coview_latest, coview_latest_close> {
public:
    static latest create(const std::string &name, const coview_layout &layout,
                         const coview_latest_options &options = latest_options()) {
        latest made;
        detail::check(coview_latest_create(name.c_str(), &layout, &options, made.out()));
        return made;
    }
    static latest open_or_create(const std::string &name, const coview_layout &layout,
                                 const coview_latest_options &options = latest_options()) {
        latest made;
        detail::check(coview_latest_open_or_create(name.c_str(), &layout, &options, made.out()));
        return made;
    }
    static latest open(const std::string &name, const coview_layout &layout) {
        latest made;
        detail::check(coview_latest_open(name.c_str(), &layout, made.out()));
        return made;
    }

    coview::writer writer() const { return coview::writer(get()); }
    coview::reader reader() const { return coview::reader(get()); }
};

/// The end of a ring that sends.
class sender : public detail::handle<coview_sender, coview_sender_close> {
public:
    explicit sender(const coview_ring *ring) { detail::check(coview_sender_open(ring, out())); }
    std::size_t record_max() const noexcept { return coview_sender_record_max(get()); }
    /// Whether there was room in time.
    bool send(const void *record, std::size_t len, milliseconds time = forever) {
        return detail::had(coview_sender_send(get(), record, len, detail::timeout(time)));
    }
    bool send(const std::string &record, milliseconds time = forever) { return send(record.data(), record.size(), time); }
    /// Room to be filled, for commit(); nullptr: there was none in time.
    void *claim(std::size_t len, milliseconds time = forever) {
        void *data = nullptr;
        detail::had(coview_sender_claim(get(), len, detail::timeout(time), &data));
        return data;
    }
    void commit(std::size_t len) { detail::check(coview_sender_commit(get(), len)); }
    void abort() noexcept { coview_sender_abort(get()); }
};

/// The end of a ring that receives.
class receiver : public detail::handle<coview_receiver, coview_receiver_close> {
public:
    explicit receiver(const coview_ring *ring) { detail::check(coview_receiver_open(ring, out())); }
    /// The next record, good until the next call; nothing: there was none in time.
    std::optional<bytes> receive(milliseconds time = forever) {
        bytes record;
        bool there = detail::had(coview_receiver_receive(get(), detail::timeout(time), &record.data, &record.len));
        return there ? std::optional<bytes>(record) : std::nullopt;
    }
    void release() noexcept { coview_receiver_release(get()); }
};

/// Records that flow from senders to a receiver.
class ring : public detail::handle<coview_ring, coview_ring_close> {
public:
    static ring create(const std::string &name, const coview_ring_options &options = ring_options()) {
        ring made;
        detail::check(coview_ring_create(name.c_str(), &options, made.out()));
        return made;
    }
    static ring open_or_create(const std::string &name, const coview_ring_options &options = ring_options()) {
        ring made;
        detail::check(coview_ring_open_or_create(name.c_str(), &options, made.out()));
        return made;
    }
    static ring open(const std::string &name) {
        ring made;
        detail::check(coview_ring_open(name.c_str(), made.out()));
        return made;
    }

    std::size_t capacity() const noexcept { return coview_ring_capacity(get()); }
    coview::sender sender() const { return coview::sender(get()); }
    coview::receiver receiver() const { return coview::receiver(get()); }
};

/// Room for a frame; given back unpublished unless it is published. It ends before its publisher does.
class loan {
public:
    loan(coview_publisher *publisher, coview_loan *raw) noexcept : publisher_(publisher), raw_(raw) {}
    loan(loan &&other) noexcept : publisher_(other.publisher_), raw_(std::exchange(other.raw_, nullptr)) {}
    loan(const loan &) = delete;
    loan &operator=(const loan &) = delete;
    ~loan() {
        if (raw_) {
            (void)coview_publisher_abort(publisher_, raw_);
        }
    }

    void *data() const noexcept { return raw_->data; }
    std::size_t size() const noexcept { return raw_->len; }
    /// Leaves all but the first `len` bytes out.
    void truncate(std::size_t len) noexcept { raw_->len = len < raw_->len ? len : raw_->len; }
#if __cplusplus >= 202002L
    std::span<std::byte> span() const noexcept { return {static_cast<std::byte *>(data()), size()}; }
#endif
    /// Whether it was published in time; if not, it can be tried again.
    bool publish(milliseconds time = forever) {
        coview_status status = coview_publisher_publish(publisher_, raw_, detail::timeout(time));
        if (status != COVIEW_WOULD_BLOCK && status != COVIEW_TIMED_OUT && status != COVIEW_INVALID_INPUT) {
            raw_ = nullptr; // gone, whatever else happened
        }
        return detail::had(status);
    }

private:
    coview_publisher *publisher_;
    coview_loan *raw_;
};

/// The end of frames that publishes.
class publisher : public detail::handle<coview_publisher, coview_publisher_close> {
public:
    explicit publisher(const coview_frames *frames) { detail::check(coview_publisher_open(frames, out())); }
    /// Nothing: there was no room in time.
    std::optional<coview::loan> loan(std::size_t len, milliseconds time = forever) {
        coview_loan *raw = nullptr;
        bool there = detail::had(coview_publisher_loan(get(), len, detail::timeout(time), &raw));
        return there ? std::optional<coview::loan>(std::in_place, get(), raw) : std::nullopt;
    }
    bool send(const void *frame, std::size_t len, milliseconds time = forever) {
        return detail::had(coview_publisher_send(get(), frame, len, detail::timeout(time)));
    }
    std::size_t subscribers() const noexcept { return coview_publisher_subscribers(get()); }
};

/// A received frame, in place, until it goes. It ends before its subscriber does.
class frame {
public:
    frame(coview_subscriber *subscriber, const coview_frame *raw) noexcept : subscriber_(subscriber), raw_(raw) {}
    frame(frame &&other) noexcept : subscriber_(other.subscriber_), raw_(std::exchange(other.raw_, nullptr)) {}
    frame(const frame &) = delete;
    frame &operator=(const frame &) = delete;
    ~frame() {
        if (raw_) {
            (void)coview_subscriber_release(subscriber_, raw_);
        }
    }

    const void *data() const noexcept { return raw_->data; }
    std::size_t size() const noexcept { return raw_->len; }
    std::uint64_t number() const noexcept { return raw_->number; }
    std::uint64_t lost() const noexcept { return raw_->lost; }
    bytes content() const noexcept { return {raw_->data, raw_->len}; }

private:
    coview_subscriber *subscriber_;
    const coview_frame *raw_;
};

/// The end of frames that receives.
class subscriber : public detail::handle<coview_subscriber, coview_subscriber_close> {
public:
    subscriber(const coview_frames *frames, std::uint32_t policy) {
        detail::check(coview_subscriber_open(frames, policy, out()));
    }
    /// Nothing: there was no frame in time.
    std::optional<coview::frame> receive(milliseconds time = forever) {
        const coview_frame *raw = nullptr;
        bool there = detail::had(coview_subscriber_receive(get(), detail::timeout(time), &raw));
        return there ? std::optional<coview::frame>(std::in_place, get(), raw) : std::nullopt;
    }
};

/// Frames that are published once and read in place by everybody.
class frames : public detail::handle<coview_frames, coview_frames_close> {
public:
    static frames create(const std::string &name, const coview_frames_options &options = frames_options()) {
        frames made;
        detail::check(coview_frames_create(name.c_str(), &options, made.out()));
        return made;
    }
    static frames open_or_create(const std::string &name, const coview_frames_options &options = frames_options()) {
        frames made;
        detail::check(coview_frames_open_or_create(name.c_str(), &options, made.out()));
        return made;
    }
    static frames open(const std::string &name) {
        frames made;
        detail::check(coview_frames_open(name.c_str(), made.out()));
        return made;
    }

    std::size_t slot() const noexcept { return coview_frames_slot(get()); }
    coview::publisher publisher() const { return coview::publisher(get()); }
    coview::subscriber subscriber(std::uint32_t policy = COVIEW_EVERY_FRAME) const {
        return coview::subscriber(get(), policy);
    }
};

} // namespace coview

#endif
