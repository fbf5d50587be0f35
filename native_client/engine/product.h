#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "engine/model_file.h"
#include "engine/threads.h"

namespace deepspeech {

struct Product;

// What the arithmetic is compiled for. One is chosen when the library is loaded (the best the machine has), tests go
// through all of them.
enum class Isa { kPortable, kAvx2, kAvx512 };
Isa BestIsa();

// Memory that begins with a cache line: what a load does not straddle is read faster.
template <typename T>
struct CacheAligned {
  using value_type = T;
  static constexpr std::align_val_t kAlignment{64};

  CacheAligned() = default;
  template <typename U>
  CacheAligned(const CacheAligned<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kAlignment)); }
  void deallocate(T* memory, size_t) { ::operator delete(memory, kAlignment); }
  friend bool operator==(CacheAligned, CacheAligned) { return true; }
  friend bool operator!=(CacheAligned, CacheAligned) { return false; }
};

// Activations as a product reads them. int8: each row is quantised symmetrically, value = scale * integer with
// scale = peak / 127 and integers rounded half away from zero, as the hybrid kernels of TensorFlow Lite do.
struct Rows {
  size_t n_rows = 0, n_inputs = 0;
  // float32
  const float* floats = nullptr;  // not owned
  size_t float_stride = 0;  // rows may overlap: a context window is a row that begins n_input after the one before
  // int8
  std::vector<uint8_t, CacheAligned<uint8_t>> ints;  // [n_rows, int_stride], plus 128
  size_t int_stride = 0;
  std::vector<float> scales;  // [n_rows]
};

// Greatest absolute value of each row, float32 [n_rows].
void Peaks(Isa isa, const float* x, size_t stride, size_t n_rows, size_t n_inputs, float* peaks);

// A weight matrix, ready for products. Weights stay where the file has them. Products of integers are exact up to 65536
// inputs.
class Matrix {
 public:
  Matrix() = default;
  Matrix(const WeightMatrix& weights, Isa isa);

  size_t n_outputs() const { return weights_.n_outputs; }
  size_t n_inputs() const { return weights_.n_inputs; }
  bool is_quantised() const { return weights_.ints != nullptr; }

  // Makes rows of x [n_rows, n_inputs] for this matrix: quantised where it is, else a reference to x.
  // `peaks`, if given, are used in place of the rows' own ones ([n_rows], none below the row's own).
  void Prepare(const float* x, size_t stride, size_t n_rows, const float* peaks, Rows* rows) const;

  // y[m][n] = sum_k W[n][k] x[m][k] + (adds ? y[m][n] : bias ? bias[n] : 0), y float32 [n_rows, y_stride].
  void Multiply(const Rows& x, const float* bias, bool adds, float* y, size_t y_stride, Threads* threads) const;

  // int8, where a row of activations stands in two parts for two matrices, quantised with one scale: the first matrix
  // keeps its sums of integers, int32 [n_rows, stride], and the second one adds its own before it scales.
  void KeepSums(const Rows& x, int32_t* sums, size_t stride, Threads* threads) const;
  void MultiplyRest(const Rows& x, int32_t* sums, const float* bias, float* y, size_t stride, Threads* threads) const;

 private:
  // int8: 128 times the sum of each row, for the offset of the activations. Made for the first product, for it reads
  // all weights, which loading a model does not.
  struct RowOffsets {
    std::once_flag once;
    std::vector<int32_t> values;
  };

  Product MakeProduct(const Rows& x, size_t y_stride) const;
  void Run(const Product& product, Threads* threads) const;

  WeightMatrix weights_;
  Isa isa_ = Isa::kPortable;
  std::shared_ptr<RowOffsets> row_offsets_ = std::make_shared<RowOffsets>();
};

// y = min(max(x, 0), clip), in place.
void ClippedRelu(Isa isa, float* x, size_t n, float clip);

// One step of an LSTM. gates: float32 [4 n] before their nonlinearities, in the order i, g, f, o; c, h: [n] in place.
void LstmCell(Isa isa, const float* gates, size_t n, float* c, float* h);

// Softmax of each of n_rows rows of n, in place.
void Softmax(float* x, size_t n_rows, size_t n, size_t stride);

}  // namespace deepspeech
