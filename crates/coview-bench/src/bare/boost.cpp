// Boost.Interprocess behind C functions. Each thing is made before the processes part, and stays until they end.

#include <boost/interprocess/anonymous_shared_memory.hpp>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_semaphore.hpp>
#include <boost/version.hpp>
#include <new>

namespace ipc = boost::interprocess;

namespace {

template <class T, class... Args> T *shared(Args... args) noexcept try {
    auto *place = new ipc::mapped_region(ipc::anonymous_shared_memory(sizeof(T)));
    return new (place->get_address()) T(args...);
} catch (...) {
    return nullptr;
}

} // namespace

// noexcept: what is thrown here must not reach Rust; then the process ends, and its pair has failed.
extern "C" {

const char *bench_boost_version() noexcept { return BOOST_LIB_VERSION; }

ipc::interprocess_mutex *bench_boost_mutex() noexcept { return shared<ipc::interprocess_mutex>(); }
void bench_boost_lock(ipc::interprocess_mutex *mutex) noexcept { mutex->lock(); }
void bench_boost_unlock(ipc::interprocess_mutex *mutex) noexcept { mutex->unlock(); }

ipc::interprocess_semaphore *bench_boost_semaphore() noexcept { return shared<ipc::interprocess_semaphore>(0); }
void bench_boost_post(ipc::interprocess_semaphore *semaphore) noexcept { semaphore->post(); }
void bench_boost_wait(ipc::interprocess_semaphore *semaphore) noexcept { semaphore->wait(); }

// Its name is gone when this returns: the sides inherit the memory.
ipc::message_queue *bench_boost_queue(const char *name, size_t depth, size_t size) noexcept try {
    auto *queue = new ipc::message_queue(ipc::create_only, name, depth, size);
    ipc::message_queue::remove(name);
    return queue;
} catch (...) {
    return nullptr;
}

void bench_boost_send(ipc::message_queue *queue, const void *message, size_t size) noexcept {
    queue->send(message, size, 0);
}

// How many bytes came; 0 if there is no message and it is not to wait.
size_t bench_boost_receive(ipc::message_queue *queue, void *message, size_t size, bool wait) noexcept {
    ipc::message_queue::size_type got = 0;
    unsigned priority = 0;
    if (!wait)
        return queue->try_receive(message, size, got, priority) ? got : 0;
    queue->receive(message, size, got, priority);
    return got;
}

} // extern "C"
