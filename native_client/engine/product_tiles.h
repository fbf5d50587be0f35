#pragma once

// Products of rows with vectors, several of both at a time, so that what is loaded is used more than once. For an
// instruction set's file to include; see product_kernels.h.

#include "engine/product_loops.h"

namespace deepspeech {
namespace {

typedef float Floats4 __attribute__((vector_size(16)));
typedef int32_t Ints4 __attribute__((vector_size(16)));

// Activations that a tile of weights meets before the next tile: what stays in the second-level cache.
constexpr size_t kBlockBytes = 1 << 18;

inline void StoreFour(const Product& product, size_t n, size_t m, Floats4 sums) {
  float* y = product.y + m * product.y_stride + n;
  Floats4 base = {};
  if (product.adds) {
    memcpy(&base, y, sizeof base);
  } else if (product.bias) {
    memcpy(&base, product.bias + n, sizeof base);
  }
  sums += base;
  memcpy(y, &sums, sizeof sums);
}

inline void StoreFour(const Product& product, size_t n, size_t m, Ints4 sums) {
  Ints4 offsets, before;
  memcpy(&offsets, product.row_offsets + n, sizeof offsets);
  sums -= offsets;
  if (product.sums) {
    int32_t* kept = product.sums + m * product.y_stride + n;
    if (product.keeps_sums) {
      memcpy(kept, &sums, sizeof sums);
      return;
    }
    memcpy(&before, kept, sizeof before);
    sums += before;
  }
  Floats4 scales;
  memcpy(&scales, product.weight_scales + n, sizeof scales);
  StoreFour(product, n, m, __builtin_convertvector(sums, Floats4) * (scales * product.x_scales[m]));
}

// Multiplies n_outputs rows of weights, the last of them perhaps not valid, by n_rows activations. Op is what an
// instruction set does with both: Load makes a Vector of kSize values or fewer, Multiply adds the products of two to a
// Sum, SumFour sums what is in each of four.
template <typename Op, size_t n_outputs, size_t n_rows>
void MultiplyTile(const Product& product, const typename Op::Weight* weights, const typename Op::X* x, size_t n,
                  size_t n_valid, size_t m) {
  const typename Op::Weight* w[n_outputs];
  for (size_t i = 0; i < n_outputs; ++i) w[i] = weights + (n + (i < n_valid ? i : 0)) * product.stride;
  x += m * product.x_stride;
  // The weights of the next tile are on their way while this one is multiplied: a processor's own prefetching does not
  // see so far, and ends with every page.
  constexpr size_t kLine = 64 / sizeof(typename Op::Weight);
  const size_t ahead = n_outputs * product.stride;
  typename Op::Sum sums[n_rows][n_outputs] = {};
  const auto add = [&](size_t k, size_t size) __attribute__((always_inline)) {
    const bool begins_line = Op::kSize == kLine || k % kLine == 0;
    typename Op::Vector wv[n_outputs];
#pragma GCC unroll 8
    for (size_t i = 0; i < n_outputs; ++i) {
      wv[i] = Op::Load(w[i] + k, size);
      if (begins_line) __builtin_prefetch(w[i] + k + ahead, 0, 2);
    }
#pragma GCC unroll 8
    for (size_t j = 0; j < n_rows; ++j) {
      const typename Op::Vector xv = Op::Load(x + j * product.x_stride + k, size);
#pragma GCC unroll 8
      for (size_t i = 0; i < n_outputs; ++i) {
        sums[j][i] = Op::Multiply(sums[j][i], wv[i], xv);
        asm("" : "+v"(sums[j][i]));  // for GCC, which would keep copies of all sums, and run out of registers
      }
    }
  };
  const size_t rest = product.n_inputs % Op::kSize, whole = product.n_inputs - rest;
  if (rest > 0) add(whole, rest);
  for (size_t k = 0; k < whole; k += Op::kSize) add(k, Op::kSize);

#pragma GCC unroll 8
  for (size_t j = 0; j < n_rows; ++j) {
#pragma GCC unroll 8
    for (size_t i = 0; i < n_outputs; i += 4) {
      const auto four = Op::SumFour(sums[j][i], sums[j][i + 1], sums[j][i + 2], sums[j][i + 3]);
      if (i + 4 <= n_valid) {
        StoreFour(product, n + i, m + j, four);
      } else {
        for (size_t valid = i; valid < n_valid; ++valid) Store(product, n + valid, m + j, four[valid - i]);
      }
    }
  }
}

// Multiplies a tile of weights by the activations m to m_end.
template <typename Op, size_t n_outputs, size_t n_rows>
void MultiplyRows(const Product& product, const typename Op::Weight* weights, const typename Op::X* x, size_t n,
                  size_t n_valid, size_t m, size_t m_end) {
  for (; m + n_rows <= m_end; m += n_rows) MultiplyTile<Op, n_outputs, n_rows>(product, weights, x, n, n_valid, m);
  if constexpr (n_rows > 1) MultiplyRows<Op, n_outputs, n_rows - 1>(product, weights, x, n, n_valid, m, m_end);
}

template <typename Op, size_t n_outputs, size_t n_rows>
void MultiplyAll(const Product& product, const typename Op::Weight* weights, const typename Op::X* x, size_t begin,
                 size_t end) {
  const size_t block = (kBlockBytes / (product.n_inputs * sizeof(typename Op::X)) + 1) * n_rows;
  for (size_t m = 0; m < product.n_rows; m += block) {
    const size_t m_end = product.n_rows - m < block ? product.n_rows : m + block;
    for (size_t n = begin; n < end; n += n_outputs) {
      const size_t n_valid = end - n < n_outputs ? end - n : n_outputs;
      Product part = product;  // of the rows: so much that the tile of weights stays in the first-level cache
      for (size_t k = 0; k < product.n_inputs; k += Op::kBlock) {
        part.n_inputs = product.n_inputs - k < Op::kBlock ? product.n_inputs - k : Op::kBlock;
        part.adds = product.adds || k > 0;
        MultiplyRows<Op, n_outputs, n_rows>(part, weights + k, x + k, n, n_valid, m, m_end);
      }
    }
  }
}

// One activation uses each weight once, and more rows of weights ask for more memory at a time; several fill the
// registers with their sums.
template <typename Op>
void Multiply(const Product& product, const typename Op::Weight* weights, const typename Op::X* x, size_t begin,
              size_t end) {
  if (product.n_rows == 1) return MultiplyAll<Op, 8, 1>(product, weights, x, begin, end);
  MultiplyAll<Op, 4, Op::kTileRows>(product, weights, x, begin, end);
}

}  // namespace
}  // namespace deepspeech
