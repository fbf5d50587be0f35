#pragma once

// What product.cc is made of, once for each instruction set. The files behind this header are compiled with
// instructions that the machine may lack: they include nothing but C headers and keep all else in anonymous
// namespaces, so that the linker cannot take a function of theirs for use elsewhere.

#include <stddef.h>
#include <stdint.h>

namespace deepspeech {

// y[m][n] = sum_k weights[n][k] x[m][k] + (adds ? y[m][n] : bias ? bias[n] : 0).
// Of weights and x exactly n_inputs values of each row are read.
struct Product {
  size_t n_inputs, n_rows;
  const float* weights;  // [.., stride]
  const int8_t* int_weights;
  size_t stride;
  const float* x;  // [n_rows, x_stride]
  const uint8_t* int_x;
  size_t x_stride;
  const float* bias;
  bool adds;
  float* y;  // [n_rows, y_stride]
  size_t y_stride;
  // int8: the sum of integers, less row_offsets[n], times weight_scales[n] times x_scales[m]. With `sums` [n_rows,
  // y_stride] those are added to the integers before; or, with keeps_sums, made of them in place of y.
  int32_t* sums;
  bool keeps_sums;
  const int32_t* row_offsets;
  const float* weight_scales;
  const float* x_scales;
};

struct Kernels {
  // Products of the weight rows begin to end.
  void (*multiply_floats)(const Product& product, size_t begin, size_t end);
  void (*multiply_ints)(const Product& product, size_t begin, size_t end);
  int32_t (*sum)(const int8_t* x, size_t n);
  float (*peak)(const float* x, size_t n);  // greatest absolute value; NaN where there is one
  // Rounds x * factor, half away from zero, to -127..127, and adds 128.
  void (*quantise)(const float* x, size_t n, float factor, uint8_t* ints);
  void (*clipped_relu)(float* x, size_t n, float clip);
  void (*lstm_cell)(const float* gates, size_t n, float* c, float* h);
};

extern const Kernels kPortableKernels;
#if defined(DEEPSPEECH_X86)
extern const Kernels kAvx2Kernels;    // AVX2 and FMA
extern const Kernels kAvx512Kernels;  // AVX-512 F, BW, DQ, VL and VNNI
#endif

}  // namespace deepspeech
