#include <immintrin.h>

#include "engine/product_kernels.h"
#include "engine/product_tiles.h"

namespace deepspeech {
namespace {

struct FloatOp {
  using Weight = float;
  using X = float;
  using Vector = __m256;
  using Sum = __m256;
  static constexpr size_t kSize = 8;
  static constexpr size_t kTileRows = 2;
  static constexpr size_t kBlock = 1024;

  static __m256 Load(const float* x, size_t size) {
    if (size == kSize) return _mm256_loadu_ps(x);
    const __m256i indices = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_maskload_ps(x, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(size)), indices));
  }
  static __m256 Multiply(__m256 sum, __m256 w, __m256 x) { return _mm256_fmadd_ps(w, x, sum); }
  static Floats4 SumFour(__m256 a, __m256 b, __m256 c, __m256 d) {
    const __m256 four = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return (Floats4)_mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1));
  }
};

// Sixteen bits hold a product of bytes, and thirty-two the sum of two, where the instruction for bytes would saturate.
struct IntOp {
  using Weight = int8_t;
  using X = uint8_t;
  using Vector = __m256i;
  using Sum = __m256i;
  static constexpr size_t kSize = 16;
  static constexpr size_t kTileRows = 2;
  static constexpr size_t kBlock = SIZE_MAX;

  static __m128i LoadBytes(const void* x, size_t size) {
    __m128i bytes = _mm_setzero_si128();
    memcpy(&bytes, x, size);
    return bytes;
  }
  static __m256i Load(const int8_t* w, size_t size) { return _mm256_cvtepi8_epi16(LoadBytes(w, size)); }
  static __m256i Load(const uint8_t* x, size_t size) { return _mm256_cvtepu8_epi16(LoadBytes(x, size)); }
  static __m256i Multiply(__m256i sum, __m256i w, __m256i x) { return _mm256_add_epi32(sum, _mm256_madd_epi16(w, x)); }
  static Ints4 SumFour(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i four = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    return (Ints4)_mm_add_epi32(_mm256_castsi256_si128(four), _mm256_extracti128_si256(four, 1));
  }
};

void MultiplyFloats(const Product& product, size_t begin, size_t end) {
  Multiply<FloatOp>(product, product.weights, product.x, begin, end);
}

void MultiplyInts(const Product& product, size_t begin, size_t end) {
  Multiply<IntOp>(product, product.int_weights, product.int_x, begin, end);
}

}  // namespace

const Kernels kAvx2Kernels = {MultiplyFloats, MultiplyInts, SumInts, Peak, Quantise, ClipRelu, RunLstmCell};

}  // namespace deepspeech
