// coview.hpp, each part once: wrapper PREFIX.

#include "coview.hpp"

#include <iostream>
#include <mutex>
#include <thread>

#define TRUE(condition)                                                                                            \
    if (!(condition)) {                                                                                            \
        std::cerr << __FILE__ << ':' << __LINE__ << ": not so: " #condition "\n";                                  \
        return false;                                                                                              \
    }

struct pose {
    double position[3];
    std::uint64_t stamp;
};

static const coview_field pose_fields[] = {
    COVIEW_FIELD_ARRAY(pose, position, COVIEW_TYPE_F64, 3),
    COVIEW_FIELD(pose, stamp, COVIEW_TYPE_U64),
};
static const coview_layout pose_layout = COVIEW_LAYOUT_RECORD(pose, "Pose", pose_fields);

template <typename Call>
static coview_status refused(Call call) {
    try {
        call();
        return COVIEW_OK;
    } catch (const coview::error &error) {
        return std::string(error.what()).empty() ? COVIEW_OK : error.status();
    }
}

static bool mappings(const std::string &name) {
    auto made = coview::mapping::create(name, 10000);
    auto opened = coview::mapping::open(name, COVIEW_READ);
    made.view().write(8, 2.5);
    TRUE(opened.view(COVIEW_READ).read<double>(8) == 2.5);
    TRUE(refused([&] { coview::mapping::create(name, 10); }) == COVIEW_ALREADY_EXISTS);
    TRUE(refused([&] { opened.view(COVIEW_READ_WRITE); }) == COVIEW_ACCESS_DENIED);
    bool created = true;
    auto third = coview::mapping::open_or_create(name, 1, &created);
    TRUE(!created && third.size() == made.size());
    int count = 0;
    third.windows(COVIEW_READ, 8192, 10, [&](coview::view window) { count += window.size() > 0; });
    TRUE(count == 2);
    made.reset();
    opened = std::move(third);
    TRUE(opened && !third && !made);
    TRUE(opened.hand_over("child").rfind("COVIEW_MAPPING_CHILD=", 0) == 0);
    opened.reset();
    TRUE(refused([&] { coview::mapping::open(name); }) == COVIEW_NOT_FOUND);
#if __cplusplus >= 202002L
    auto unnamed = coview::mapping::create_unnamed(100);
    auto view = unnamed.view(COVIEW_READ_WRITE, 0, 100);
    TRUE(view.span().size() == 100 && view.span()[99] == std::byte{0});
#endif
    return true;
}

static bool objects(const std::string &name) {
    auto mutex = coview::mutex::create(name + "-m");
    {
        std::lock_guard<const coview::mutex> guard(mutex);
        TRUE(mutex.try_lock());
        mutex.unlock();
        bool other = true;
        std::thread([&] { other = mutex.lock_timeout(coview::milliseconds(1)) == COVIEW_TIMED_OUT; }).join();
        TRUE(other);
    }
    TRUE(refused([&] { mutex.unlock(); }) == COVIEW_INVALID_INPUT);
    std::thread([&] { mutex.lock(); }).join(); // and it ends with it
    TRUE(mutex.lock());                        // abandoned
    mutex.unlock();
    auto event = coview::event::create(name + "-e");
    TRUE(!event.wait(coview::milliseconds(0)));
    event.set();
    auto semaphore = coview::semaphore::create(name + "-s", 0, 2);
    auto fired = coview::wait_any({coview::waitable(semaphore), coview::waitable(event)});
    TRUE(fired && fired->index == 1 && !fired->abandoned);
    TRUE(!coview::wait_any({coview::waitable(semaphore), coview::waitable(event)}, coview::milliseconds(1)));
    TRUE(semaphore.release(2) == 0u && !semaphore.release() && semaphore.acquire());
    return true;
}

static bool typed(const std::string &name) {
    auto made = coview::region::create(name + "-r", pose_layout, pose{{1, 2, 3}, 4});
    auto opened = coview::region::open(name + "-r", pose_layout);
    opened.write(std::uint64_t{5}, offsetof(pose, stamp));
    TRUE(made.read<pose>().stamp == 5 && made.size() == sizeof(pose));
    auto latest = coview::latest::create(name + "-l", pose_layout);
    auto reader = latest.reader();
    TRUE(!reader.read<pose>());
    latest.writer().set(pose{{1, 2, 3}, 7});
    TRUE(reader.changed<pose>()->stamp == 7 && !reader.changed<pose>(coview::milliseconds(1)));
    TRUE(refused([&] { reader.read<double>(); }) == COVIEW_INVALID_INPUT);
    return true;
}

static bool channels(const std::string &name) {
    auto ring = coview::ring::create(name + "-ring");
    auto sender = ring.sender();
    auto receiver = ring.receiver();
    TRUE(sender.send("hello"));
    TRUE(receiver.receive()->string() == "hello" && !receiver.receive(coview::milliseconds(0)));
    std::memcpy(sender.claim(10), "claimed", 7);
    sender.commit(7);
    TRUE(receiver.receive()->string() == "claimed");
    auto frames = coview::frames::create(name + "-frames");
    auto subscriber = frames.subscriber();
    auto publisher = frames.publisher();
    {
        auto unused = publisher.loan(5000);
        auto loan = publisher.loan(5000);
        std::memset(loan->data(), 3, loan->size());
        loan->truncate(4000);
        TRUE(loan->publish() && publisher.subscribers() == 1);
    }
    TRUE(publisher.send("small", 5));
    auto first = subscriber.receive();
    auto second = subscriber.receive();
    TRUE(first->size() == 4000 && static_cast<const char *>(first->data())[3999] == 3 && first->number() == 1);
    TRUE(second->content().string() == "small" && second->lost() == 0);
    TRUE(!subscriber.receive(coview::milliseconds(0)));
    return true;
}

int main(int, char **argv) {
    std::string prefix = argv[1];
    if (!mappings(prefix) || !objects(prefix) || !typed(prefix) || !channels(prefix)) {
        return 1;
    }
    std::cout << "ok\n";
}
