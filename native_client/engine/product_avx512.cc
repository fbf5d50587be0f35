#include <immintrin.h>

#include "engine/product_kernels.h"
#include "engine/product_tiles.h"

namespace deepspeech {
namespace {

struct FloatOp {
  using Weight = float;
  using X = float;
  using Vector = __m512;
  using Sum = __m512;
  static constexpr size_t kSize = 16;
  static constexpr size_t kTileRows = 4;
  static constexpr size_t kBlock = 1024;

  static __m512 Load(const float* x, size_t size) {
    return size == kSize ? _mm512_loadu_ps(x) : _mm512_maskz_loadu_ps((1u << size) - 1, x);
  }
  static __m512 Multiply(__m512 sum, __m512 w, __m512 x) { return _mm512_fmadd_ps(w, x, sum); }
  static Floats4 SumFour(__m512 a, __m512 b, __m512 c, __m512 d) {
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    const __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512 low = _mm512_shuffle_ps(ab, cd, 0x44), high = _mm512_shuffle_ps(ab, cd, 0xEE);
    const __m512 four = _mm512_add_ps(low, high);
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(four), _mm512_extractf32x8_ps(four, 1));
    return (Floats4)_mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  }
};

struct IntOp {
  using Weight = int8_t;
  using X = uint8_t;
  using Vector = __m512i;
  using Sum = __m512i;
  static constexpr size_t kSize = 64;
  static constexpr size_t kTileRows = 4;
  static constexpr size_t kBlock = SIZE_MAX;

  static __m512i Load(const void* x, size_t size) {
    return size == kSize ? _mm512_loadu_si512(x) : _mm512_maskz_loadu_epi8((1ull << size) - 1, x);
  }
  static __m512i Multiply(__m512i sum, __m512i w, __m512i x) { return _mm512_dpbusd_epi32(sum, x, w); }
  static Ints4 SumFour(__m512i a, __m512i b, __m512i c, __m512i d) {
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    const __m512i four = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(four), _mm512_extracti64x4_epi64(four, 1));
    return (Ints4)_mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
};

void MultiplyFloats(const Product& product, size_t begin, size_t end) {
  Multiply<FloatOp>(product, product.weights, product.x, begin, end);
}

void MultiplyInts(const Product& product, size_t begin, size_t end) {
  Multiply<IntOp>(product, product.int_weights, product.int_x, begin, end);
}

}  // namespace

const Kernels kAvx512Kernels = {MultiplyFloats, MultiplyInts, SumInts, Peak, Quantise, ClipRelu, RunLstmCell};

}  // namespace deepspeech
