// Loops that threads share.

#include "engine/threads.h"

#include <time.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <vector>

#include "tests/check.h"

namespace {

using namespace deepspeech;

void TestParts() {
  for (const size_t n_threads : {0, 1, 2, 3, 8}) {
    Threads threads(n_threads);
    CHECK_EQUAL(threads.size(), n_threads > 0 ? n_threads : 1);
    for (const size_t n : {0, 1, 7, 16, 17, 100, 8192}) {
      for (const size_t grain : {1, 16}) {
        std::vector<int> n_visits(n);  // not atomic: parts must not overlap, and be seen when the call returns
        std::atomic<size_t> n_parts{0};
        threads.ParallelFor(n, grain, [&](size_t begin, size_t end) {
          CHECK(begin < end && end <= n);
          CHECK_EQUAL(begin % grain, 0u);
          CHECK(end == n || end % grain == 0);
          for (size_t i = begin; i < end; ++i) ++n_visits[i];
          ++n_parts;
        });
        for (const int visits : n_visits) CHECK_EQUAL(visits, 1);
        CHECK(n_parts <= threads.size());
        if (n >= grain * threads.size() * threads.size()) CHECK_EQUAL(n_parts, threads.size());
      }
    }
  }
}

// Parts that wait for each other come to an end only if all run at the same time.
void TestConcurrency() {
  Threads threads(3);
  for (int call = 0; call < 20; ++call) {
    std::atomic<int> n_begun{0};
    threads.ParallelFor(3, 1, [&](size_t, size_t) {
      ++n_begun;
      while (n_begun < 3) std::this_thread::yield();
    });
  }
}

// Work that comes at once, and after pauses that put threads to sleep.
void TestManyCalls() {
  Threads threads(3);
  std::vector<size_t> sums(3000);
  for (size_t call = 0; call < 3000; ++call) {
    if (call % 100 == 0) std::this_thread::sleep_for(std::chrono::microseconds(200));
    threads.ParallelFor(sums.size(), 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) sums[i] += i;
    });
  }
  for (size_t i = 0; i < sums.size(); ++i) CHECK_EQUAL(sums[i], 3000 * i);
}

// Threads are for one caller at a time; several callers have several.
void TestManyOwners() {
  std::vector<std::thread> owners;
  std::atomic<size_t> n_done{0};
  for (int owner = 0; owner < 4; ++owner) {
    owners.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        Threads threads(2);
        threads.ParallelFor(10, 1, [&](size_t begin, size_t end) { n_done += end - begin; });
      }
    });
  }
  for (std::thread& owner : owners) owner.join();
  CHECK_EQUAL(n_done, 4u * 50 * 10);
}

void TestIdleness() {
  Threads threads(4);
  threads.ParallelFor(4, 1, [](size_t, size_t) {});
  const auto cpu_seconds = [] {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return time.tv_sec + 1e-9 * time.tv_nsec;
  };
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  // Three threads that spin would take 1.5 s where there are cores for them, and 0.5 s where there is one.
  CHECK(cpu_seconds() - before < 0.1);
}

}  // namespace

int main() {
  TestParts();
  TestConcurrency();
  TestManyCalls();
  TestManyOwners();
  TestIdleness();
}
