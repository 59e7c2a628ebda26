// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

// Runs a grid on the CPU: blocks one after another, the threads of a block as threads of the operating
// system, so that ThreadSanitizer sees two threads that touch one address without a barrier between them.
// Whatever the runner itself synchronizes is hidden from ThreadSanitizer, except for what a kernel may rely
// on: the start of a block, its barriers and its end.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <mutex>
#include <new>
#include <semaphore>
#include <source_location>
#include <string>
#include <thread>
#include <vector>

struct uint3 {
    unsigned int x, y, z;
};

struct dim3 {
    constexpr dim3(unsigned int x_ = 1, unsigned int y_ = 1, unsigned int z_ = 1) : x(x_), y(y_), z(z_) {}
    constexpr uint64_t count() const { return uint64_t{x} * y * z; }
    unsigned int x, y, z;
};

inline constinit thread_local uint3 threadIdx{};
inline constinit thread_local uint3 blockIdx{};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};

#if defined(__SANITIZE_THREAD__)
extern "C" {
void AnnotateIgnoreSyncBegin(const char*, int);
void AnnotateIgnoreSyncEnd(const char*, int);
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#endif

namespace cuda_shim {

using Site = std::source_location;

inline constexpr unsigned int kWarp = 32;
inline constexpr uint64_t kMaxThreads = 1024;  // per block, on every card
inline constexpr int kGarbage = 0x7b;          // of every byte: a large finite number, a far index

// While it lives, ThreadSanitizer neither checks this thread nor learns an order from what it does.
class HiddenFromThreadSanitizer {
  public:
#if defined(__SANITIZE_THREAD__)
    HiddenFromThreadSanitizer() {
        AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
    ~HiddenFromThreadSanitizer() {
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
        AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
    }
#else
    HiddenFromThreadSanitizer() {}
#endif
    HiddenFromThreadSanitizer(const HiddenFromThreadSanitizer&) = delete;
    HiddenFromThreadSanitizer& operator=(const HiddenFromThreadSanitizer&) = delete;
};

inline constinit std::atomic<const char*> current_kernel{"no kernel"};

// A kernel broke a rule of CUDA: says which and ends the program.
[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "cuda_shim: %s, block %u, thread %u: %s\n", current_kernel.load(), blockIdx.x,
                 threadIdx.x, what.c_str());
    std::_Exit(3);
}

inline std::string text(const Site& site) {
    return std::string(site.file_name()) + ":" + std::to_string(site.line());
}

// All threads of a group wait at the same place, or the program ends.
class Barrier {
  public:
    // Before the group starts.
    void reset(unsigned int threads) {
        threads_ = threads;
        arrived_ = 0;
        left_ = 0;
    }

    void wait(const Site& site) {
        const uint32_t generation = generation_.load(std::memory_order_relaxed);
        {
            const std::lock_guard lock(mutex_);
            if (left_ > 0) {
                fail(std::to_string(left_) + " threads have left the kernel without the barrier at " +
                     text(site));
            }
            if (arrived_ > 0 && (site.line() != site_.line() || site.file_name() != site_.file_name())) {
                fail("threads wait at different barriers: " + text(site_) + " and " + text(site));
            }
            site_ = site;
            if (++arrived_ == threads_) {
                arrived_ = 0;
                generation_.fetch_add(1, std::memory_order_release);
                generation_.notify_all();
                return;
            }
        }
        {
            // Sleeping goes through counters that barriers share; they would order what no barrier orders.
            const HiddenFromThreadSanitizer hidden;
            generation_.wait(generation, std::memory_order_relaxed);
        }
        generation_.load(std::memory_order_acquire);
    }

    // The calling thread has left the kernel.
    void leave() {
        const std::lock_guard lock(mutex_);
        ++left_;
        if (arrived_ > 0) {
            fail("this thread has left the kernel while others wait at the barrier at " + text(site_));
        }
    }

  private:
    std::mutex mutex_;
    std::atomic<uint32_t> generation_{0};
    unsigned int threads_ = 0;
    unsigned int arrived_ = 0;
    unsigned int left_ = 0;
    Site site_;
};

struct Warp {
    Barrier barrier;
    std::array<uint64_t, kWarp> lanes;  // what each lane gives to a shuffle or ballot
    unsigned int mask;                  // lanes that exist
};

// Shared memory of one `__shared__` declaration: new for every block, exactly as large as declared, filled
// with garbage.
class SharedMemory {
  public:
    SharedMemory(size_t size, size_t alignment) : size_(size), alignment_(alignment) {
        renew();
        const std::lock_guard lock(mutex());
        all().push_back(this);
    }
    ~SharedMemory() { ::operator delete(data_, std::align_val_t{alignment_}); }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;

    static void renew_all() {
        for (SharedMemory* const memory : all()) {
            memory->renew();
        }
    }

  protected:
    void* data() const { return data_; }

  private:
    void renew() {
        ::operator delete(data_, std::align_val_t{alignment_});
        data_ = ::operator new(size_, std::align_val_t{alignment_});
        std::memset(data_, kGarbage, size_);
    }
    static std::vector<SharedMemory*>& all() {
        static std::vector<SharedMemory*> memories;
        return memories;
    }
    static std::mutex& mutex() {
        static std::mutex mutex;
        return mutex;
    }

    size_t size_;
    size_t alignment_;
    void* data_ = nullptr;
};

template <typename T>
class Shared : SharedMemory {
  public:
    Shared() : SharedMemory(sizeof(T), alignof(T)) {}
    T& get() const { return *static_cast<T*>(data()); }
};

class Runner {
  public:
    static Runner& instance() {
        static Runner runner;
        return runner;
    }

    // Last block first: the result must not depend on the order.
    bool reverse = false;

    void run(const char* kernel, dim3 grid, dim3 block, const std::function<void()>& body) {
        const unsigned int threads = static_cast<unsigned int>(block.count());
        while (workers_.size() < threads) {
            Worker& worker = workers_.emplace_back();
            worker.index = static_cast<unsigned int>(workers_.size() - 1);
            worker.thread = std::thread(&Runner::work, this, std::ref(worker));
        }
        while (warps_.size() * kWarp < threads) {
            warps_.emplace_back();
        }
        current_kernel = kernel;
        body_ = &body;
        grid_ = grid;
        block_ = block;
        const uint64_t blocks = grid.count();
        for (uint64_t i = 0; i < blocks; ++i) {
            block_index_ = reverse ? blocks - 1 - i : i;
            SharedMemory::renew_all();
            barrier_.reset(threads);
            for (unsigned int w = 0; w * kWarp < threads; ++w) {
                const unsigned int lanes = std::min(threads - w * kWarp, kWarp);
                warps_[w].barrier.reset(lanes);
                warps_[w].mask = lanes == kWarp ? ~0u : (1u << lanes) - 1;
            }
            running_ = threads;
            started_.fetch_add(1, std::memory_order_release);
            for (unsigned int t = 0; t < threads; ++t) {
                workers_[t].start.release();
            }
            done_.acquire();
        }
        current_kernel = "no kernel";
    }

    Barrier& barrier() { return barrier_; }
    Warp& warp() { return warps_[linear_thread() / kWarp]; }
    static unsigned int lane() { return linear_thread() % kWarp; }

  private:
    struct Worker {
        unsigned int index = 0;
        std::binary_semaphore start{0};
        std::thread thread;
    };

    Runner() = default;
    ~Runner() {
        body_ = nullptr;
        started_.fetch_add(1, std::memory_order_release);
        for (Worker& worker : workers_) {
            worker.start.release();
            worker.thread.join();
        }
    }

    static unsigned int linear_thread() {
        return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    }

    static uint3 position(uint64_t index, dim3 extent) {
        return {static_cast<unsigned int>(index % extent.x),
                static_cast<unsigned int>(index / extent.x % extent.y),
                static_cast<unsigned int>(index / extent.x / extent.y)};
    }

    void work(Worker& worker) {
        for (;;) {
            {
                const HiddenFromThreadSanitizer hidden;
                worker.start.acquire();
            }
            started_.load(std::memory_order_acquire);
            if (body_ == nullptr) {
                return;
            }
            blockDim = block_;
            gridDim = grid_;
            threadIdx = position(worker.index, block_);
            blockIdx = position(block_index_, grid_);
            (*body_)();
            barrier_.leave();
            warp().barrier.leave();
            if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                done_.release();
            }
        }
    }

    std::deque<Worker> workers_;
    std::deque<Warp> warps_;
    Barrier barrier_;
    std::atomic<uint64_t> started_{0};
    std::atomic<unsigned int> running_{0};
    std::binary_semaphore done_{0};
    const std::function<void()>* body_ = nullptr;
    dim3 grid_;
    dim3 block_;
    uint64_t block_index_ = 0;
};

}  // namespace cuda_shim
