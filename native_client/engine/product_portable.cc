#include "engine/product_kernels.h"
#include "engine/product_loops.h"

namespace deepspeech {
namespace {

float Dot(const float* a, const float* b, size_t n) {
  constexpr size_t kLanes = 16;
  float sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const float lane : sums) sum += lane;
  return sum;
}

int32_t Dot(const int8_t* a, const uint8_t* b, size_t n) {
  int32_t sum = 0;
  for (size_t i = 0; i < n; ++i) sum += static_cast<int16_t>(a[i]) * static_cast<int16_t>(b[i]);
  return sum;
}

template <typename W, typename X>
void Multiply(const Product& product, const W* weights, const X* x, size_t begin, size_t end) {
  for (size_t n = begin; n < end; ++n) {
    for (size_t m = 0; m < product.n_rows; ++m) {
      Store(product, n, m, Dot(weights + n * product.stride, x + m * product.x_stride, product.n_inputs));
    }
  }
}

void MultiplyFloats(const Product& product, size_t begin, size_t end) {
  Multiply(product, product.weights, product.x, begin, end);
}

void MultiplyInts(const Product& product, size_t begin, size_t end) {
  Multiply(product, product.int_weights, product.int_x, begin, end);
}

}  // namespace

const Kernels kPortableKernels = {MultiplyFloats, MultiplyInts, SumInts, Peak, Quantise, ClipRelu, RunLstmCell};

}  // namespace deepspeech
