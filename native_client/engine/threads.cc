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
  // Conditions for a thread to go on. What wakes threads is changed under the mutex; those who spin read without it.
  std::atomic<bool> ends{false};
  std::atomic<size_t> n_waiting{0};     // parts that no thread has taken
  std::atomic<size_t> n_unfinished{0};  // parts
  // The work, which stays as it is while a part is unfinished.
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

  // Whoever has time takes a part: the caller does all of them where the others get no processor.
  void RunParts() {
    for (size_t waiting = n_waiting; waiting > 0;) {
      if (!n_waiting.compare_exchange_weak(waiting, waiting - 1)) continue;
      const size_t begin = (waiting - 1) * part;
      (*work)(begin, std::min(n, begin + part));
      if (--n_unfinished == 0) {
        std::lock_guard<std::mutex> lock(mutex);
        work_done.notify_one();
      }
      waiting = n_waiting;
    }
  }

  void Loop() {
    const auto is_called = [&] { return ends || n_waiting > 0; };
    while (true) {
      if (!Spin(is_called)) {
        std::unique_lock<std::mutex> lock(mutex);
        work_came.wait(lock, is_called);
      }
      if (ends) return;
      RunParts();
    }
  }
};

Threads::Threads(size_t n_threads) {
  if (n_threads <= 1) return;
  shared_ = std::make_unique<Shared>();
  for (size_t i = 1; i < n_threads; ++i) shared_->threads.emplace_back(&Shared::Loop, shared_.get());
}

Threads::~Threads() = default;

size_t Threads::size() const { return shared_ ? shared_->threads.size() + 1 : 1; }

void Threads::ParallelFor(size_t n, size_t grain, const std::function<void(size_t, size_t)>& work) {
  if (n == 0) return;
  if (!shared_ || n <= grain) return work(0, n);
  const size_t part = ((n + size() - 1) / size() + grain - 1) / grain * grain;
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->work = &work;
    shared_->n = n;
    shared_->part = part;
    shared_->n_waiting = shared_->n_unfinished = (n + part - 1) / part;
  }
  shared_->work_came.notify_all();
  shared_->RunParts();
  const auto is_done = [&] { return shared_->n_unfinished == 0; };
  if (!Spin(is_done)) {
    std::unique_lock<std::mutex> lock(shared_->mutex);
    shared_->work_done.wait(lock, is_done);
  }
}

}  // namespace deepspeech
