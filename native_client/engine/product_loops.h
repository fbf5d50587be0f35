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

// Sigmoid and hyperbolic tangent as rational functions: those of the Eigen library that TensorFlow Lite was built with
// in the time of DeepSpeech 0.9.3 and Coqui STT 1.4.0. In their int8 models an ulp in the state can become a step of a
// sixth, where the state is quantised with the scale of an input of up to 20; with the same functions it is the same
// step. Right to 1e-7 absolutely, in a third of the time of Exp.
inline float Sigmoid(float x) {
  float bounded = x > 15.7243833541870117f ? 15.7243833541870117f : x;  // NaN stays
  bounded = bounded < -9.0f ? -9.0f : bounded;
  const float z = bounded * bounded;
  float p = 4.37031012579801e-11f;
  p = p * z + 1.15627324459942e-07f;
  p = p * z + 6.08574864600143e-05f;
  p = p * z + 8.51377133304701e-03f;
  p = p * z + 2.48287947061529e-01f;
  float q = 6.10247389755681e-13f;
  q = q * z + 5.76102136993427e-09f;
  q = q * z + 6.29106785017040e-06f;
  q = q * z + 1.70198817374094e-03f;
  q = q * z + 1.16817656904453e-01f;
  q = q * z + 9.93151921023180e-01f;
  const float inside = p * bounded / q + 0.5f;
  return x < -9.0f ? Exp(x) : inside;
}

inline float Tanh(float x) {
  float bounded = x > 7.90531110763549805f ? 7.90531110763549805f : x;
  bounded = bounded < -7.90531110763549805f ? -7.90531110763549805f : bounded;
  const float z = bounded * bounded;
  float p = -2.76076847742355e-16f;
  p = p * z + 2.00018790482477e-13f;
  p = p * z - 8.60467152213735e-11f;
  p = p * z + 5.12229709037114e-08f;
  p = p * z + 1.48572235717979e-05f;
  p = p * z + 6.37261928875436e-04f;
  p = p * z + 4.89352455891786e-03f;
  float q = 1.19825839466702e-06f;
  q = q * z + 1.18534705686654e-04f;
  q = q * z + 2.26843463243900e-03f;
  q = q * z + 4.89352518554385e-03f;
  const float size = x < 0 ? -x : x;
  return size < 0.0004f ? x : bounded * p / q;
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
  sum -= product.row_offsets[n];
  if (product.sums) {
    int32_t* kept = product.sums + m * product.y_stride + n;
    if (product.keeps_sums) {
      *kept = sum;
      return;
    }
    sum += *kept;
  }
  Store(product, n, m, static_cast<float>(sum) * (product.weight_scales[n] * product.x_scales[m]));
}

}  // namespace
}  // namespace deepspeech
