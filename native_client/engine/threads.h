#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace deepspeech {

// A few threads that share the loops of one caller at a time. They wait for work without spinning for long: some
// microseconds, then they sleep.
class Threads {
 public:
  explicit Threads(size_t n_threads);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  size_t size() const;

  // Calls work(begin, end) for contiguous parts of 0..n, one per thread, cut at multiples of `grain`; returns when all
  // are done. With one thread it is a plain call.
  void ParallelFor(size_t n, size_t grain, const std::function<void(size_t, size_t)>& work);

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;  // none with one thread
};

}  // namespace deepspeech
