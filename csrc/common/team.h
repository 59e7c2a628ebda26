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
// ranges that team(units, grain, work) hands out, the form of parallel loop that <op>/run_cpu.h asks for.
// `work` must not throw: that would end the program. Threads that come late, or not at all, are not waited
// for: ranges go to those that are there. A thread that the system woke on the processor of the caller, which
// is busy, goes to another one: left to the system, that takes some milliseconds.
class Team {
  public:
    // Calls body(team) once. `parallel` is a pool whose ranges run at the same time.
    template <typename Parallel, typename Body>
    static void run(int64_t threads, const Parallel& parallel, const Body& body) {
        Team team;
        team.caller_ = processor();
        parallel(std::max<int64_t>(threads, 1), int64_t{1}, [&](int64_t begin, int64_t) {
            if (begin == 0) {
                const Closing closing{team};
                body(team);
            } else {
                team.serve();
            }
        });
    }

    template <typename Work>
    void operator()(int64_t units, int64_t grain, const Work& work) noexcept {
        const int64_t present = 1 + arrived_.load(std::memory_order_acquire);
        const int64_t parts = std::clamp<int64_t>(units / std::max<int64_t>(grain, 1), 1, present);
        if (parts == 1) {
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
        share_ = ceil_div(units, parts);
        running_.store(parts - 1, std::memory_order_relaxed);
        number_ += kNext;
        order_.store(number_ + static_cast<uint64_t>(parts), std::memory_order_release);
        work(int64_t{0}, share_);
        Spin spin;
        while (running_.load(std::memory_order_acquire) != 0) {
            spin.wait();
        }
    }

    // The loop as a value that can be passed on.
    struct Loop {
        Team* team;

        template <typename Work>
        void operator()(int64_t units, int64_t grain, const Work& work) const {
            (*team)(units, grain, work);
        }
    };

    Loop loop() { return {this}; }

  private:
    static constexpr uint64_t kNext = uint64_t{1} << 32;  // below it: how many take part in an order
    static constexpr uint64_t kClosed = ~uint64_t{0};

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
        ~Closing() { team.order_.store(kClosed, std::memory_order_release); }
    };

    void serve() noexcept {
        leave_callers_processor();
        const uint64_t me = static_cast<uint64_t>(arrived_.fetch_add(1, std::memory_order_acq_rel) + 1);
        uint64_t done = 0;
        Spin spin;
        while (true) {
            const uint64_t order = order_.load(std::memory_order_acquire);
            if (order == kClosed) {
                return;
            }
            // An order in which this thread has no part was given before it came.
            if (order == done || order % kNext <= me) {
                spin.wait();
                continue;
            }
            done = order;
            const int64_t begin = static_cast<int64_t>(me) * share_;
            if (begin < units_) {
                call_(work_, begin, std::min(begin + share_, units_));
            }
            running_.fetch_sub(1, std::memory_order_release);
        }
    }

    int caller_ = -1;  // processor of the calling thread
    std::atomic<int64_t> arrived_{0};
    std::atomic<uint64_t> order_{0};
    alignas(64) std::atomic<int64_t> running_{0};
    uint64_t number_ = 0;
    void (*call_)(const void*, int64_t, int64_t) = nullptr;
    const void* work_ = nullptr;
    int64_t units_ = 0;
    int64_t share_ = 0;
};

constexpr int64_t serial_elements(const Team::Loop&) {
    return 4 * 1024;
}

}  // namespace rslcore
