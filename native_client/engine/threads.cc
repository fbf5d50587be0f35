#include "engine/threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace deepspeech {
namespace {

// Waits some microseconds for a condition. Returns whether it came to hold.
template <typename Condition>
bool Spin(const Condition& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(20);
  do {
    for (int i = 0; i < 16; ++i) {
      if (condition()) return true;
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

}  // namespace

struct Threads::Shared {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable work_came, work_done;
  // Changed under the mutex, read without it by those who spin.
  std::atomic<uint64_t> generation{0};  // of the work
  std::atomic<size_t> n_running{0};     // threads that have not finished it
  std::atomic<bool> ends{false};
  // The work; written before the generation changes.
  const std::function<void(size_t, size_t)>* work = nullptr;
  size_t n = 0, part = 0;

  ~Shared() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      ends = true;
    }
    work_came.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void RunPart(size_t index) const {
    const size_t begin = std::min(n, index * part);
    const size_t end = std::min(n, begin + part);
    if (begin < end) (*work)(begin, end);
  }

  void Loop(size_t index) {
    for (uint64_t seen = 0;;) {
      const auto is_called = [&] { return ends || generation != seen; };
      if (!Spin(is_called)) {
        std::unique_lock<std::mutex> lock(mutex);
        work_came.wait(lock, is_called);
      }
      if (ends) return;
      seen = generation;
      RunPart(index);
      if (--n_running == 0) {
        std::lock_guard<std::mutex> lock(mutex);
        work_done.notify_one();
      }
    }
  }
};

Threads::Threads(size_t n_threads) {
  if (n_threads <= 1) return;
  shared_ = std::make_unique<Shared>();
  for (size_t i = 1; i < n_threads; ++i) {
    shared_->threads.emplace_back([shared = shared_.get(), i] { shared->Loop(i); });
  }
}

Threads::~Threads() = default;

size_t Threads::size() const { return shared_ ? shared_->threads.size() + 1 : 1; }

void Threads::ParallelFor(size_t n, size_t grain, const std::function<void(size_t, size_t)>& work) {
  if (n == 0) return;
  if (!shared_ || n <= grain) return work(0, n);
  const size_t part = (n + size() - 1) / size();
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->work = &work;
    shared_->n = n;
    shared_->part = (part + grain - 1) / grain * grain;
    shared_->n_running = shared_->threads.size();
    ++shared_->generation;
  }
  shared_->work_came.notify_all();
  shared_->RunPart(0);
  const auto is_done = [&] { return shared_->n_running == 0; };
  if (!Spin(is_done)) {
    std::unique_lock<std::mutex> lock(shared_->mutex);
    shared_->work_done.wait(lock, is_done);
  }
}

}  // namespace deepspeech
