// The little of Boost that KenLM's estimation uses, in terms of the C++ standard library, so that Boost need not be
// there. CMakeLists.txt writes a header of each of Boost's names that includes this one. C++11, as KenLM is.

#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace boost {

using std::mutex;
using std::ref;
using std::reference_wrapper;
using std::unique_lock;

class noncopyable {
 protected:
  noncopyable() = default;
  noncopyable(const noncopyable&) = delete;
  noncopyable& operator=(const noncopyable&) = delete;
};

// Runs a copy of `worker`, or through a reference the worker itself, where std::thread would want it movable.
class thread {
 public:
  template <class Function, class Position, class Worker>
  thread(reference_wrapper<Function> function, const Position& position, const Worker& worker)
      : thread_(Run<Function, Position, Worker>, function, position, worker) {}

  void join() { thread_.join(); }

 private:
  template <class Function, class Position, class Worker>
  static void Run(reference_wrapper<Function> function, const Position& position, Worker worker) {
    function.get()(position, Unwrap(worker));
  }

  template <class Worker>
  static Worker& Unwrap(Worker& worker) {
    return worker;
  }

  template <class Worker>
  static Worker& Unwrap(reference_wrapper<Worker>& worker) {
    return worker.get();
  }

  std::thread thread_;
};

template <class T>
class scoped_array : public std::unique_ptr<T[]> {
 public:
  using std::unique_ptr<T[]>::unique_ptr;
};

template <class T>
class ptr_vector {
 public:
  class iterator {
   public:
    explicit iterator(std::unique_ptr<T>* at) : at_(at) {}
    T& operator*() const { return **at_; }
    T* operator->() const { return at_->get(); }
    iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const iterator& other) const { return at_ != other.at_; }

   private:
    std::unique_ptr<T>* at_;
  };

  void push_back(T* owned) { items_.emplace_back(owned); }
  void clear() { items_.clear(); }
  bool empty() const { return items_.empty(); }
  std::size_t size() const { return items_.size(); }
  T& front() { return *items_.front(); }
  T& back() { return *items_.back(); }
  T& operator[](std::size_t index) { return *items_[index]; }
  iterator begin() { return iterator(items_.data()); }
  iterator end() { return iterator(items_.data() + items_.size()); }

 private:
  std::vector<std::unique_ptr<T>> items_;
};

template <class Target, class Source>
Target lexical_cast(const Source& source) {
  static_assert(std::is_same<Target, std::string>::value, "KenLM's estimation writes numbers only");
  return std::to_string(source);
}

namespace interprocess {

class interprocess_exception : public std::exception {
 public:
  int get_native_error() const { return 0; }
};

class interprocess_semaphore {
 public:
  explicit interprocess_semaphore(std::size_t count) : count_(count) {}

  void wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    posted_.wait(lock, [this] { return count_ > 0; });
    --count_;
  }

  void post() {
    std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
    posted_.notify_one();  // under the lock, for the waiting side may destroy this at once
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::size_t count_;
};

}  // namespace interprocess
}  // namespace boost
