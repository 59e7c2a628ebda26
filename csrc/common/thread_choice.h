// Copyright (c) 2026, rslcore authors.
// SPDX-License-Identifier: BSD-3-Clause

#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace rslcore {

// Whether numbers of threads are chosen by measuring, or else all are used that there are: what the
// environment variable RSLCORE_THREADS says, "measured" (the default) or "all".
bool threads_are_measured();

// With how many threads work that comes again and again is done: with as many as have lately been fastest. On
// a quiet machine that is most often all of them; where other programs keep the cores busy, a thread that the
// system has taken off its core is waited for, and fewer threads, or one, are faster by far. Results do not
// depend on the number.
//
// Other numbers than the fastest are tried again after a while. What that loses stays below `trial_share`:
// for fewer threads of the time of the work itself, for more threads, in case the neighbours have left, of
// all the time that passes. After a trial that lost much, the next one comes late, but within a minute, or
// what the trial of a piece needs that takes three times as long: what takes very long is most likely a
// program that was stopped. Times are in seconds of any clock: it is the caller's.
class ThreadChoice {
  public:
    explicit ThreadChoice(double trial_share) : trial_share_(trial_share) {}

    // Threads for a piece of work that begins now, 1..most.
    int64_t next(int64_t most, double now) {
        if (most != most_) {
            restart(most);
        }
        if (numbers_[current_].work > 0.0) {
            const size_t best = fastest();
            if (current_ == best) {
                go_to(due(best, now), best, now);
            } else if (numbers_[current_].loss > kPatience) {
                go_to(best, best, now);
            }
        }
        return numbers_[current_].threads;
    }

    // Reports from when to when a piece took with a number of threads that `next` gave, and how much work it
    // was, in any unit that is proportional to its time; 0 for a wait that belongs to none.
    void took(int64_t threads, double work, double begin, double end) {
        size_t index = 0;
        while (index + 1 < numbers_.size() && numbers_[index].threads != threads) {
            ++index;
        }
        Number& number = numbers_[index];
        const double seconds = std::max(end - begin, 0.0);
        busy_ += seconds;
        if (!std::exchange(number.warm, true)) {
            return;  // memory is paged in, threads are made
        }
        const double memory = kMemory + kMemoryPieces * seconds;
        const double kept = number.work == 0.0 ? 0.0 : std::exp((number.measured - busy_) / memory);
        number.seconds = number.seconds * kept + seconds;
        number.work = number.work * kept + work;
        number.measured = busy_;
        piece_ = work > 0.0 ? std::max(work, piece_ * 0.5) : piece_;
        double rival = std::numeric_limits<double>::infinity();
        for (size_t i = 0; i < numbers_.size(); ++i) {
            if (i != index && numbers_[i].work > 0.0) {
                rival = std::min(rival, numbers_[i].rate());
            }
        }
        const double lost = work > 0.0 ? seconds - work * rival / kPreference : seconds;
        number.loss = std::max(number.loss + lost, 0.0);
    }

  private:
    static constexpr double kPatience = 1e-3;   // seconds lost before a number is given up: waking threads
    static constexpr double kMemory = 0.05;     // seconds of work; a hiccup of the system is a part of it
    static constexpr double kMemoryPieces = 8;  // and at least so many pieces
    static constexpr double kTrialPieces =
        16;  // pieces between two trials of a number, however little it lost
    static constexpr double kLatestTrial =
        60;  // seconds to the next trial of any, however much the last one lost
    static constexpr double kFirstTrial = 3;  // pieces that a first trial may lose at any time
    static constexpr double kPreference =
        0.98;  // what is not clearly faster does not displace the present number

    struct Number {
        int64_t threads;
        double seconds = 0.0;    // of `work`; both fade with time
        double work = 0.0;       // 0: never measured
        double measured = 0.0;   // in seconds of work
        double loss = 0.0;       // seconds lost against the fastest other since it became the present number
        bool warm = false;       // whether a first piece, which is not counted, was done
        double left = 0.0;       // when another one followed it, ...
        double left_work = 0.0;  // ... and in seconds of work

        double rate() const { return seconds / work; }
    };

    // 1, 2, 3, 4, 6, 9, 13, ... and the largest two: one core may belong to somebody else.
    void restart(int64_t most) {
        *this = ThreadChoice(trial_share_);
        most_ = most;
        if (threads_are_measured()) {
            for (int64_t threads = 1; threads < most - 1; threads = std::max(threads + 1, threads * 3 / 2)) {
                numbers_.push_back({threads});
            }
            if (most > 1) {
                numbers_.push_back({most - 1});
            }
        }
        numbers_.push_back({most});
        current_ = numbers_.size() - 1;
    }

    size_t fastest() const {
        size_t best = current_;
        double rate = numbers_[best].rate() * kPreference;
        for (size_t i = 0; i < numbers_.size(); ++i) {
            if (numbers_[i].work > 0.0 && numbers_[i].rate() < rate) {
                best = i;
                rate = numbers_[i].rate();
            }
        }
        return best;
    }

    // Seconds to pass before each of so many numbers may lose so much again. Reckoned anew whenever it is
    // asked for, as the first pieces may have been measured while the program was stopped.
    double pause(double loss, size_t alike, size_t best) const {
        const double share = 0.5 * trial_share_;
        const double piece = piece_ * numbers_[best].rate();
        const double latest = std::max(kLatestTrial, 2.0 * piece / share);
        return std::max(static_cast<double>(alike) * std::min(loss / share, latest), kTrialPieces * piece);
    }

    // The number to be tried, of those whose time has come the one that was not measured for longest; or
    // `best`. Half of the share is for all numbers alike, ...
    size_t due(size_t best, double now) const {
        const auto passed = [&](const Number& since, size_t alike, bool more) {
            return (more ? now - since.left : busy_ - since.left_work) >= pause(since.loss, alike, best);
        };
        size_t chosen = best;
        double oldest = busy_;
        for (size_t i = 0; i < numbers_.size(); ++i) {
            const Number& x = numbers_[i];
            const bool time = x.work == 0.0 ? first_due(i, best) <= busy_
                                            // ... and half for the next, any.
                                            : passed(x, numbers_.size() - 1, i > best) ||
                                                  passed(numbers_[last_], 1, i > best);
            if (i != best && x.measured < oldest && time) {
                chosen = i;
                oldest = x.measured;
            }
        }
        return chosen;
    }

    // When, in seconds of work, to try a number that was never measured: at once, unless it might lose much.
    // It takes no longer than the next larger number that was, times as much as there are fewer threads.
    double first_due(size_t number, size_t best) const {
        size_t larger = number + 1;  // there is one: the largest is measured first
        while (numbers_[larger].work == 0.0) {
            ++larger;
        }
        const double ratio =
            static_cast<double>(numbers_[larger].threads) / static_cast<double>(numbers_[number].threads);
        const double loss = piece_ * (numbers_[larger].rate() * ratio - numbers_[best].rate());
        return loss <= kFirstTrial * piece_ * numbers_[best].rate()
                   ? 0.0
                   : std::min(2.0 * loss / trial_share_, kLatestTrial);
    }

    void go_to(size_t number, size_t best, double now) {
        if (number == current_) {
            return;
        }
        numbers_[current_].left = now;
        numbers_[current_].left_work = busy_;
        const auto end = [&](const Number& x) { return x.left + pause(x.loss, 1, best); };
        if (end(numbers_[current_]) >= end(numbers_[last_])) {
            last_ = current_;
        }
        numbers_[number].loss = 0.0;
        current_ = number;
    }

    double trial_share_;
    int64_t most_ = 0;
    std::vector<Number> numbers_;  // ascending
    size_t current_ = 0;
    size_t last_ = 0;     // the number that was left after the trial for which the longest pause is due
    double busy_ = 0.0;   // seconds of work so far
    double piece_ = 0.0;  // work of a piece
};

// The choices for the latest few kinds of work of one place in the code.
class ThreadChoices {
  public:
    explicit ThreadChoices(double trial_share) : trial_share_(trial_share) {}

    // Numbers of units that differ by less than two are of one kind: they may be another one at every call,
    // as that of trajectories is.
    ThreadChoice& of(int64_t units, int64_t size, int64_t most) {
        const int magnitude = std::bit_width(static_cast<uint64_t>(units));
        for (Kind& kind : kinds_) {
            if (kind.magnitude == magnitude && kind.size == size && kind.most == most) {
                kind.used = ++uses_;
                return kind.choice;
            }
        }
        if (kinds_.size() < kMostKinds) {
            kinds_.push_back({magnitude, size, most, ++uses_, ThreadChoice(trial_share_)});
            return kinds_.back().choice;
        }
        Kind& oldest = *std::min_element(kinds_.begin(), kinds_.end(),
                                         [](const Kind& a, const Kind& b) { return a.used < b.used; });
        oldest = {magnitude, size, most, ++uses_, ThreadChoice(trial_share_)};
        return oldest.choice;
    }

  private:
    static constexpr size_t kMostKinds = 32;

    struct Kind {
        int magnitude;  // of the number of units
        int64_t size;
        int64_t most;
        uint64_t used;
        ThreadChoice choice;
    };

    double trial_share_;
    std::vector<Kind> kinds_;
    uint64_t uses_ = 0;
};

}  // namespace rslcore
