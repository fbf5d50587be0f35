#include "engine/product.h"

#include <algorithm>
#include <cmath>

#include "engine/product_kernels.h"

namespace deepspeech {
namespace {

const Kernels& KernelsOf(Isa isa) {
#if defined(DEEPSPEECH_X86)
  if (isa == Isa::kAvx512) return kAvx512Kernels;
  if (isa == Isa::kAvx2) return kAvx2Kernels;
#endif
  (void)isa;
  return kPortableKernels;
}

constexpr size_t kCacheLine = 64;  // bytes

// Output rows that one thread takes at least, a multiple of all tiles.
constexpr size_t kGrain = 16;
// Multiplications below which waking a thread costs more than it saves: about 10 us of them.
constexpr size_t kParallelWork = 1 << 20;

}  // namespace

Isa BestIsa() {
#if defined(DEEPSPEECH_X86)
  // These ask the operating system, too, whether it keeps the registers.
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512vnni");
    return has_avx512 ? Isa::kAvx512 : Isa::kAvx2;
  }
#endif
  return Isa::kPortable;
}

void Peaks(Isa isa, const float* x, size_t stride, size_t n_rows, size_t n_inputs, float* peaks) {
  const Kernels& kernels = KernelsOf(isa);
  for (size_t m = 0; m < n_rows; ++m) peaks[m] = kernels.peak(x + m * stride, n_inputs);
}

Matrix::Matrix(const WeightMatrix& weights, Isa isa) : weights_(weights), isa_(isa) {}

void Matrix::Prepare(const float* x, size_t stride, size_t n_rows, const float* peaks, Rows* rows) const {
  rows->n_rows = n_rows;
  rows->n_inputs = n_inputs();
  rows->floats = x;
  rows->float_stride = stride;
  if (!is_quantised()) return;
  const Kernels& kernels = KernelsOf(isa_);
  rows->int_stride = (n_inputs() + kCacheLine - 1) / kCacheLine * kCacheLine;
  rows->ints.resize(n_rows * rows->int_stride);
  rows->scales.resize(n_rows);
  for (size_t m = 0; m < n_rows; ++m) {
    const float* row = x + m * stride;
    uint8_t* ints = rows->ints.data() + m * rows->int_stride;
    const float peak = peaks ? peaks[m] : kernels.peak(row, n_inputs());
    // A peak so small that 127 / peak is infinite counts as none. What is not a number stays so, in the scale.
    const bool is_silent = peak < 1e-36f;
    rows->scales[m] = is_silent ? 1 : peak / 127;
    kernels.quantise(row, n_inputs(), is_silent ? 0 : 127 / peak, ints);
  }
}

Product Matrix::MakeProduct(const Rows& x, size_t y_stride) const {
  Product product = {};
  product.n_inputs = n_inputs();
  product.n_rows = x.n_rows;
  product.weights = weights_.floats;
  product.int_weights = weights_.ints;
  product.stride = weights_.stride;
  product.x = x.floats;
  product.int_x = x.ints.data();
  product.x_stride = is_quantised() ? x.int_stride : x.float_stride;
  product.y_stride = y_stride;
  if (is_quantised()) {
    std::call_once(row_offsets_->once, [this] {
      row_offsets_->values.resize(n_outputs());
      for (size_t n = 0; n < n_outputs(); ++n) {
        row_offsets_->values[n] = 128 * KernelsOf(isa_).sum(weights_.ints + n * weights_.stride, n_inputs());
      }
    });
  }
  product.row_offsets = row_offsets_->values.data();
  product.weight_scales = weights_.scales.data();
  product.x_scales = x.scales.data();
  return product;
}

void Matrix::Run(const Product& product, Threads* threads) const {
  const Kernels& kernels = KernelsOf(isa_);
  const auto multiply = is_quantised() ? kernels.multiply_ints : kernels.multiply_floats;
  if (threads == nullptr || n_outputs() * n_inputs() * product.n_rows < kParallelWork) {
    multiply(product, 0, n_outputs());
  } else {
    threads->ParallelFor(n_outputs(), kGrain, [&](size_t begin, size_t end) { multiply(product, begin, end); });
  }
}

void Matrix::Multiply(const Rows& x, const float* bias, bool adds, float* y, size_t y_stride, Threads* threads) const {
  Product product = MakeProduct(x, y_stride);
  product.bias = bias;
  product.adds = adds;
  product.y = y;
  Run(product, threads);
}

void Matrix::KeepSums(const Rows& x, int32_t* sums, size_t stride, Threads* threads) const {
  Product product = MakeProduct(x, stride);
  product.sums = sums;
  product.keeps_sums = true;
  Run(product, threads);
}

void Matrix::MultiplyRest(const Rows& x, int32_t* sums, const float* bias, float* y, size_t stride,
                          Threads* threads) const {
  Product product = MakeProduct(x, stride);
  product.sums = sums;
  product.bias = bias;
  product.y = y;
  Run(product, threads);
}

void ClippedRelu(Isa isa, float* x, size_t n, float clip) { KernelsOf(isa).clipped_relu(x, n, clip); }

void LstmCell(Isa isa, const float* gates, size_t n, float* c, float* h) { KernelsOf(isa).lstm_cell(gates, n, c, h); }

void Softmax(float* x, size_t n_rows, size_t n, size_t stride) {
  for (float* row = x; row != x + n_rows * stride; row += stride) {
    const float peak = *std::max_element(row, row + n);
    float sum = 0;
    for (size_t i = 0; i < n; ++i) sum += row[i] = std::exp(row[i] - peak);
    for (size_t i = 0; i < n; ++i) row[i] /= sum;
  }
}

}  // namespace deepspeech
