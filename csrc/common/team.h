// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

#include "common/parallel.h"

namespace rslcore {

// Threads that stay awake from one short parallel region to the next: where each takes some hundred
// microseconds, waking a sleeping thread for every one of them takes longer than the thread saves.
//
// Team::run borrows the threads of a pool for the time of one call of `body`. They wait, spinning, for the
// blocks that team(units, grain, work) hands out, the form of parallel loop that <op>/run_cpu.h asks for, and
// take them one by one: a thread that comes late, or that the system has taken off its core, holds none and
// is not waited for. `work` must not throw: that would end the program. A thread that the system woke on the
// processor of the caller, which is busy, goes to another one: left to the system, that takes some
// milliseconds.
class Team {
  public:
    // Calls body(loop) once, in the calling thread. `pool(threads, share)` calls share() on so many threads
    // at the same time, of which the calling one is one.
    template <typename Pool, typename Body>
    static void run(int64_t threads, const Pool& pool, const Body& body) {
        Team team(threads);
        const auto lead = [&] {
            const Closing closing{team};
            body(Loop{&team});
        };
        if (threads <= 1) {
            lead();
            return;
        }
        const std::thread::id caller = std::this_thread::get_id();
        pool(threads, [&] { std::this_thread::get_id() == caller ? lead() : team.serve(); });
    }

    // The parallel loop, as a value that can be passed on.
    struct Loop {
        Team* team;

        template <typename Work>
        void operator()(int64_t units, int64_t grain, const Work& work) const {
            team->spread(units, grain, work);
        }
    };

  private:
    explicit Team(int64_t threads)
        : most_blocks_(threads > 1 ? kBlocksPerThread * threads : 1), caller_(processor()) {}

    static constexpr int64_t kBlocksPerThread = 8;
    static constexpr uint64_t kOrder = uint64_t{1} << 32;  // below it: how many blocks are left to take
    static constexpr uint64_t kClosed = ~uint64_t{0} - (kOrder - 1);

    template <typename Work>
    void spread(int64_t units, int64_t grain, const Work& work) noexcept {
        const int64_t blocks = std::min(units / std::max<int64_t>(grain, 1), most_blocks_);
        if (blocks <= 1) {
            if (units > 0) {
                work(int64_t{0}, units);
            }
            return;
        }
        call_ = [](const void* what, int64_t begin, int64_t end) {
            (*static_cast<const Work*>(what))(begin, end);
        };
        work_ = &work;
        units_ = units;
        block_ = ceil_div(units, blocks);
        const int64_t count = ceil_div(units, block_);
        unfinished_.store(count, std::memory_order_relaxed);
        order_ += kOrder;
        ticket_.store(order_ + static_cast<uint64_t>(count), std::memory_order_release);
        while (take_block()) {
        }
        Spin spin;
        while (unfinished_.load(std::memory_order_acquire) != 0) {
            spin.wait();
        }
    }

    // Takes a block and does it; false if none is left. Whoever has taken one is waited for, so that what
    // describes the order stays as it is meanwhile.
    bool take_block() noexcept {
        uint64_t ticket = ticket_.load(std::memory_order_relaxed);
        do {
            if (ticket % kOrder == 0) {
                return false;
            }
        } while (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acquire,
                                                std::memory_order_relaxed));
        const int64_t end = std::min(static_cast<int64_t>(ticket % kOrder) * block_, units_);
        call_(work_, (static_cast<int64_t>(ticket % kOrder) - 1) * block_, end);
        unfinished_.fetch_sub(1, std::memory_order_release);
        return true;
    }

    // Gives the processor away now and then, as there may be fewer of them than threads.
    class Spin {
      public:
        void wait() {
            if (++count_ % 64 == 0) {
                std::this_thread::yield();
            }
#if defined(__x86_64__)
            __builtin_ia32_pause();
#endif
        }

      private:
        uint32_t count_ = 0;
    };

    static int processor() {
#if defined(__linux__)
        return sched_getcpu();
#else
        return -1;
#endif
    }

    // What this thread may run on is the same before and after.
    void leave_callers_processor() const {
#if defined(__linux__)
        cpu_set_t allowed;
        if (caller_ < 0 || caller_ != sched_getcpu() ||
            sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
            return;
        }
        cpu_set_t others = allowed;
        CPU_CLR(static_cast<size_t>(caller_), &others);
        if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof(others), &others) == 0) {
            sched_setaffinity(0, sizeof(allowed), &allowed);
        }
#endif
    }

    struct Closing {
        Team& team;
        ~Closing() { team.ticket_.store(kClosed, std::memory_order_release); }
    };

    void serve() noexcept {
        leave_callers_processor();
        Spin spin;
        while (ticket_.load(std::memory_order_relaxed) != kClosed) {
            if (!take_block()) {
                spin.wait();
            }
        }
    }

    const int64_t most_blocks_;
    const int caller_;                             // processor of the calling thread, or -1
    alignas(64) std::atomic<uint64_t> ticket_{0};  // number of the order, and how many of its blocks are left
    alignas(64) std::atomic<int64_t> unfinished_{0};
    // The order; read by those that hold a block of it.
    uint64_t order_ = 0;
    void (*call_)(const void*, int64_t, int64_t) = nullptr;
    const void* work_ = nullptr;
    int64_t units_ = 0;
    int64_t block_ = 0;
};

constexpr int64_t serial_elements(const Team::Loop&) {
    return 4 * 1024;
}

}  // namespace rslcore
