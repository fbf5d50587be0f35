#pragma once

// Loops that compilers vectorise for the instruction set of the file that includes this. See product_kernels.h.

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace deepspeech {
namespace {

int32_t SumInts(const int8_t* x, size_t n) {
  int32_t sum = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}

// Sizes of floats are in the order of their bits as integers, and the greatest integer may be sought in any order.
float Peak(const float* x, size_t n) {
  int32_t peak = 0;
  for (size_t i = 0; i < n; ++i) {
    int32_t bits;
    memcpy(&bits, x + i, sizeof bits);
    bits &= 0x7FFFFFFF;
    peak = bits > peak ? bits : peak;
  }
  float result;
  memcpy(&result, &peak, sizeof result);
  return result;
}

void Quantise(const float* __restrict x, size_t n, float factor, uint8_t* __restrict ints) {
  for (size_t i = 0; i < n; ++i) {
    float value = x[i] * factor;
    value = value < 127.0f ? value : 127.0f;
    value = value > -127.0f ? value : -127.0f;
    const int32_t whole = static_cast<int32_t>(value);
    const float rest = value - static_cast<float>(whole);  // exact
    ints[i] = static_cast<uint8_t>(whole + (rest >= 0.5f) - (rest <= -0.5f) + 128);
  }
}

void ClipRelu(float* x, size_t n, float clip) {
  for (size_t i = 0; i < n; ++i) {
    const float positive = x[i] > 0 ? x[i] : 0;
    x[i] = positive < clip ? positive : clip;
  }
}

// e^x to 1e-7 of itself, for -87 <= x <= 87 (beyond, that of the bound): 2^n e^r, |r| <= ln(2) / 2, e^r by the
// polynomial of Cephes (Moshier 1989). NaN gives NaN.
inline float Exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 87.0f ? 87.0f : x;
  // Adding 1.5 2^23 rounds to an integer and leaves it in the low bits.
  const float shifted = x * 1.44269504088896341f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

inline float Sigmoid(float x) { return 1.0f / (1.0f + Exp(-x)); }

// Near zero, where 1 - 2 / (e^2x + 1) would cancel, the polynomial of Cephes.
inline float Tanh(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x;
  const float far = 1.0f - 2.0f / (Exp(2.0f * x) + 1.0f);
  return z < 0.390625f ? near : far;
}

void RunLstmCell(const float* __restrict gates, size_t n, float* __restrict c, float* __restrict h) {
  const float* input = gates;
  const float* candidate = gates + n;
  const float* forget = gates + 2 * n;
  const float* output = gates + 3 * n;
  for (size_t i = 0; i < n; ++i) {
    const float cell = Sigmoid(forget[i]) * c[i] + Sigmoid(input[i]) * Tanh(candidate[i]);
    c[i] = cell;
    h[i] = Sigmoid(output[i]) * Tanh(cell);
  }
}

// Puts the result of a product of integers, or of floats, in its place.
inline void Store(const Product& product, size_t n, size_t m, float sum) {
  float* y = product.y + m * product.y_stride + n;
  *y = sum + (product.adds ? *y : product.bias ? product.bias[n] : 0);
}

inline void Store(const Product& product, size_t n, size_t m, int32_t sum) {
  const float scale = product.weight_scales[n] * product.x_scales[m];
  Store(product, n, m, static_cast<float>(sum - product.row_offsets[n]) * scale);
}

}  // namespace
}  // namespace deepspeech
