// The products, in every instruction set of this machine, against plain loops in double precision.

#include "engine/product.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tests/check.h"

namespace {

using namespace deepspeech;

std::vector<Isa> Isas() {
  std::vector<Isa> isas = {Isa::kPortable};
  if (BestIsa() >= Isa::kAvx2) isas.push_back(Isa::kAvx2);
  if (BestIsa() >= Isa::kAvx512) isas.push_back(Isa::kAvx512);
  return isas;
}

std::mt19937 generator(1);

float Uniform(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator); }

// Values between pages that cannot be read: the last one ends at the end of its page, or, with at_front, the first one
// begins its page.
template <typename T>
class Guarded {
 public:
  explicit Guarded(size_t size, bool at_front = false) {
    const size_t page = sysconf(_SC_PAGESIZE);
    const size_t middle = (size * sizeof(T) + page - 1) / page * page;
    n_bytes_ = middle + 2 * page;
    pages_ = static_cast<char*>(mmap(nullptr, n_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    CHECK(pages_ != MAP_FAILED);
    CHECK(mprotect(pages_ + page, middle, PROT_READ | PROT_WRITE) == 0);
    data_ = reinterpret_cast<T*>(pages_ + page + (at_front ? 0 : middle - size * sizeof(T)));
  }
  ~Guarded() { munmap(pages_, n_bytes_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  T& operator[](size_t i) { return data_[i]; }

 private:
  char* pages_;
  size_t n_bytes_;
  T* data_;
};

struct Shape {
  size_t n_outputs, n_inputs, n_rows;
  size_t padding = 0;     // of each weight row
  size_t row_stride = 0;  // of x; 0: n_inputs
  bool adds = false, has_bias = true;
  bool at_front = false;
};

// One product's operands, each as long as it must be and no longer.
template <typename T>
struct Operands {
  explicit Operands(const Shape& shape)
      : stride(shape.n_inputs + shape.padding),
        x_stride(shape.row_stride ? shape.row_stride : shape.n_inputs),
        weights((shape.n_outputs - 1) * stride + shape.n_inputs, shape.at_front),
        x((shape.n_rows - 1) * x_stride + shape.n_inputs, shape.at_front),
        y_stride(shape.n_outputs + shape.padding),
        bias(shape.n_outputs),
        before((shape.n_rows - 1) * y_stride + shape.n_outputs),
        y(before.size()) {
    for (float& value : bias) value = Uniform(-3, 3);
    for (float& value : before) value = Uniform(-3, 3);
    matrix.n_outputs = shape.n_outputs;
    matrix.n_inputs = shape.n_inputs;
    matrix.stride = stride;
  }

  // Multiplies, and returns y.
  const float* Multiply(const Matrix& multiplier, const Shape& shape, const float* peaks, Threads* threads) {
    std::copy(before.begin(), before.end(), y.data());
    Rows rows;
    multiplier.Prepare(x.data(), x_stride, shape.n_rows, peaks, &rows);
    multiplier.Multiply(rows, shape.has_bias ? bias.data() : nullptr, shape.adds, y.data(), y_stride, threads);
    for (size_t i = 0; i < before.size(); ++i) CHECK(i % y_stride < shape.n_outputs || y[i] == before[i]);
    return y.data();
  }

  float Base(const Shape& shape, size_t m, size_t n) const {
    return shape.adds ? before[m * y_stride + n] : shape.has_bias ? bias[n] : 0;
  }

  size_t stride, x_stride;
  Guarded<T> weights;
  Guarded<float> x;
  size_t y_stride;
  std::vector<float> bias, before;
  Guarded<float> y;
  WeightMatrix matrix;
};

void TestFloats(const Shape& shape, Threads* threads) {
  Operands<float> operands(shape);
  for (size_t n = 0; n < shape.n_outputs; ++n) {
    for (size_t k = 0; k < shape.n_inputs; ++k) operands.weights[n * operands.stride + k] = Uniform(-1, 1);
  }
  for (size_t i = 0; i < (shape.n_rows - 1) * operands.x_stride + shape.n_inputs; ++i) operands.x[i] = Uniform(-2, 2);
  operands.matrix.floats = operands.weights.data();

  for (const Isa isa : Isas()) {
    const Matrix matrix(operands.matrix, isa);
    CHECK(!matrix.is_quantised());
    const float* y = operands.Multiply(matrix, shape, nullptr, threads);
    for (size_t m = 0; m < shape.n_rows; ++m) {
      for (size_t n = 0; n < shape.n_outputs; ++n) {
        double expected = operands.Base(shape, m, n), size = std::fabs(expected);
        for (size_t k = 0; k < shape.n_inputs; ++k) {
          const double term =
              static_cast<double>(operands.weights[n * operands.stride + k]) * operands.x[m * operands.x_stride + k];
          expected += term;
          size += std::fabs(term);
        }
        CHECK(std::fabs(y[m * operands.y_stride + n] - expected) <= 1e-6 * size);
      }
    }
  }
}

// With weight scales and activation scales of one, results are the integers themselves; others follow from these.
void TestInts(const Shape& shape, bool is_extreme, Threads* threads) {
  Operands<int8_t> operands(shape);
  std::uniform_int_distribution<int> integer(-127, 127);
  const int sign = integer(generator) < 0 ? -1 : 1;
  for (size_t n = 0; n < shape.n_outputs; ++n) {
    // The format has no -128, but a file may.
    for (size_t k = 0; k < shape.n_inputs; ++k) {
      operands.weights[n * operands.stride + k] = is_extreme ? (n % 2 ? 127 : -128) : integer(generator);
    }
  }
  for (size_t i = 0; i < (shape.n_rows - 1) * operands.x_stride + shape.n_inputs; ++i) {
    operands.x[i] = is_extreme ? 127 * sign : integer(generator);
  }
  operands.matrix.ints = operands.weights.data();
  const std::vector<float> peaks(shape.n_rows, 127.0f);
  for (const bool has_scales : {false, true}) {
    operands.matrix.scales.assign(shape.n_outputs, 1);
    if (has_scales) {
      for (float& scale : operands.matrix.scales) scale = Uniform(1e-4f, 1e-2f);
    }
    for (const Isa isa : Isas()) {
      const Matrix matrix(operands.matrix, isa);
      CHECK(matrix.is_quantised());
      const float* y = operands.Multiply(matrix, shape, peaks.data(), threads);
      for (size_t m = 0; m < shape.n_rows; ++m) {
        for (size_t n = 0; n < shape.n_outputs; ++n) {
          int64_t sum = 0;
          for (size_t k = 0; k < shape.n_inputs; ++k) {
            sum +=
                operands.weights[n * operands.stride + k] * static_cast<int64_t>(operands.x[m * operands.x_stride + k]);
          }
          const float found = y[m * operands.y_stride + n], base = operands.Base(shape, m, n);
          if (has_scales) {
            const double product = static_cast<double>(sum) * operands.matrix.scales[n];
            CHECK(std::fabs(found - (product + base)) <= 3e-7 * (std::fabs(product) + std::fabs(base)));
          } else {
            CHECK_EQUAL(found, static_cast<float>(sum) + base);
          }
        }
      }
    }
  }
}

void TestProducts() {
  Threads threads(3);
  for (const size_t n_inputs : {1, 3, 15, 16, 17, 29, 41, 63, 64, 65, 494, 2048}) {
    for (const size_t n_outputs : {1, 3, 15, 16, 17, 29, 41}) {
      for (const size_t n_rows : {1, 2, 3, 4, 5, 16, 17}) {
        Shape shape = {n_outputs, n_inputs, n_rows};
        shape.padding = n_outputs % 4;
        shape.has_bias = n_rows % 2;
        shape.adds = n_rows % 4 == 3;
        shape.at_front = n_inputs % 2;
        TestFloats(shape, &threads);
        TestInts(shape, false, &threads);
      }
    }
  }
  for (const bool adds : {false, true}) {
    // Windows that overlap; matrices that several threads share; batches larger than a cache.
    for (const Shape& shape : {Shape{41, 494, 21, 0, 26, adds}, Shape{700, 494, 16, 2, 26, adds},
                               Shape{2048, 300, 1, 0, 0, adds}, Shape{70, 2048, 300, 0, 0, adds, false}}) {
      TestFloats(shape, &threads);
      TestInts(shape, false, nullptr);
      TestInts(shape, false, &threads);
    }
  }
  for (const size_t n_inputs : {29, 4096}) {
    for (const size_t n_rows : {1, 17}) TestInts({33, n_inputs, n_rows, 0, 0, false, false}, true, nullptr);
  }
}

void TestQuantisation() {
  const size_t n_inputs = 77, n_rows = 5;
  Guarded<int8_t> weights(n_inputs);
  WeightMatrix matrix;
  matrix.n_outputs = 1;
  matrix.n_inputs = matrix.stride = n_inputs;
  matrix.ints = weights.data();
  matrix.scales = {1};
  Guarded<float> x(n_rows * n_inputs);
  for (size_t i = 0; i < n_inputs; ++i) {
    x[i] = (static_cast<int>(i) - 38) * 0.5f;      // halves, once the peak of 127 is in
    x[n_inputs + i] = 0;                           // silence
    x[2 * n_inputs + i] = Uniform(-1e-3f, 1e-3f);  // small
    x[3 * n_inputs + i] = Uniform(-1, 1) * 1e38f;  // large
    x[4 * n_inputs + i] = i % 2 ? 1e-42f : -1e-44f;
  }
  x[5] = -127;
  x[6] = std::nextafter(0.5f, 0.0f);
  x[7] = -std::nextafter(0.5f, 0.0f);

  for (const Isa isa : Isas()) {
    std::vector<float> peaks(n_rows);
    Peaks(isa, x.data(), n_inputs, n_rows, n_inputs, peaks.data());
    for (size_t m = 0; m < n_rows; ++m) {
      float peak = 0;
      for (size_t k = 0; k < n_inputs; ++k) peak = std::max(peak, std::fabs(x[m * n_inputs + k]));
      CHECK_EQUAL(peaks[m], peak);
    }
    Rows rows;
    for (const float peak_of_silence : {0.0f, 20.0f}) {
      const Matrix ready(matrix, isa);
      std::vector<float> given = peaks;
      given[1] = peak_of_silence;
      given[2] = 2e-3f;
      ready.Prepare(x.data(), n_inputs, n_rows, peak_of_silence > 0 ? given.data() : nullptr, &rows);
      CHECK_EQUAL(rows.scales[0], 1.0f);
      CHECK_EQUAL(rows.scales[1], peak_of_silence > 0 ? peak_of_silence / 127 : 1.0f);
      CHECK_EQUAL(rows.scales[2], (peak_of_silence > 0 ? 2e-3f : peaks[2]) / 127);
      CHECK_EQUAL(rows.scales[4], 1.0f);
      for (size_t m = 0; m < n_rows; ++m) {
        const float peak = rows.scales[m] * 127;
        for (size_t k = 0; k < n_inputs; ++k) {
          const int found = rows.ints[m * rows.int_stride + k];
          if (m == 1 || m == 4) {
            CHECK_EQUAL(found, 128);
          } else if (m == 0) {
            CHECK_EQUAL(found, static_cast<int>(std::round(x[k])) + 128);
          } else {
            // Where the scale is not a power of two, a half may fall on either side.
            const double exact = static_cast<double>(x[m * n_inputs + k]) / peak * 127;
            CHECK(std::fabs(found - 128 - exact) <= 0.5001);
          }
        }
      }
    }
  }
}

void TestActivations() {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const float largest = std::numeric_limits<float>::max();
  for (const Isa isa : Isas()) {
    for (const size_t n : {1, 15, 16, 17, 400}) {
      Guarded<float> x(n);
      for (size_t i = 0; i < n; ++i) x[i] = Uniform(-30, 30);
      const std::vector<float> before(x.data(), x.data() + n);
      ClippedRelu(isa, x.data(), n, 20);
      for (size_t i = 0; i < n; ++i) CHECK_EQUAL(x[i], before[i] < 0 ? 0 : before[i] > 20 ? 20 : before[i]);
    }

    const size_t n = 4001;
    Guarded<float> gates(4 * n), c(n), h(n);
    for (const float range : {1e-6f, 0.1f, 1.0f, 8.0f, 80.0f}) {
      for (size_t i = 0; i < 4 * n; ++i) gates[i] = Uniform(-range, range);
      // Terms of one sign: a sum that cancels would magnify errors.
      for (size_t i = 0; i < n; ++i) c[i] = std::copysign(Uniform(0, 3 * range), gates[n + i]);
      const std::vector<float> before(c.data(), c.data() + n);
      LstmCell(isa, gates.data(), n, c.data(), h.data());
      const auto sigmoid = [](double value) { return 1 / (1 + std::exp(-value)); };
      for (size_t i = 0; i < n; ++i) {
        const double cell = sigmoid(gates[2 * n + i]) * before[i] + sigmoid(gates[i]) * std::tanh(gates[n + i]);
        CHECK(std::fabs(c[i] - cell) <= 2e-6 * std::fabs(cell) + 1.5e-7 * (1 + std::fabs(before[i])));
        const double hidden = sigmoid(gates[3 * n + i]) * std::tanh(static_cast<double>(c[i]));
        CHECK(std::fabs(h[i] - hidden) <= 3e-6 * std::fabs(hidden) + 3e-7);
      }
    }
    for (const float value : {largest, 1e10f, 200.0f, 88.5f}) {
      for (size_t i = 0; i < n; ++i) {
        gates[i] = gates[2 * n + i] = value;
        gates[n + i] = i % 2 ? value : -value;
        gates[3 * n + i] = i % 3 ? value : -value;
        c[i] = 0.5;
      }
      LstmCell(isa, gates.data(), n, c.data(), h.data());
      for (size_t i = 0; i < n; ++i) {
        CHECK_EQUAL(c[i], i % 2 ? 1.5f : -0.5f);
        const double hidden = i % 3 ? std::tanh(static_cast<double>(c[i])) : 0;
        CHECK(std::fabs(h[i] - hidden) <= 1e-6);
      }
    }
    for (const float value : {nan, infinity, -infinity}) {
      for (size_t i = 0; i < n; ++i) {
        for (size_t gate = 0; gate < 4; ++gate) gates[gate * n + i] = gate == i % 4 ? value : 0;
        c[i] = 1;
      }
      LstmCell(isa, gates.data(), n, c.data(), h.data());
      for (size_t i = 0; i < n; ++i) CHECK_EQUAL(std::isnan(h[i]), std::isnan(value));
    }
    // What is not a number does not end the process, and does not look like one afterwards.
    gates[0] = nan;
    gates[1] = infinity;
    WeightMatrix matrix;
    const std::vector<int8_t> weights(n, 1);
    matrix.n_outputs = 1;
    matrix.n_inputs = matrix.stride = n;
    matrix.ints = weights.data();
    matrix.scales = {1};
    Rows rows;
    Matrix(matrix, isa).Prepare(gates.data(), n, 4, nullptr, &rows);
    CHECK(std::isnan(rows.scales[0]));
  }
}

void TestSoftmax() {
  const size_t n_rows = 5, n = 29, stride = 31;
  Guarded<float> x((n_rows - 1) * stride + n);
  std::vector<float> before;
  for (size_t i = 0; i < (n_rows - 1) * stride + n; ++i)
    before.push_back(x[i] = Uniform(-50, 50) * (i > 60 ? 1e30f : 1));
  Softmax(x.data(), n_rows, n, stride);
  for (size_t m = 0; m < n_rows; ++m) {
    const float* row = before.data() + m * stride;
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(row[i]) - *std::max_element(row, row + n));
    for (size_t i = 0; i < n; ++i) {
      const double expected = std::exp(static_cast<double>(row[i]) - *std::max_element(row, row + n)) / sum;
      // What a difference of 100 is rounded by, its power shows.
      CHECK(std::fabs(x[m * stride + i] - expected) <= 1e-5 * expected + 1e-37);
    }
    if (m + 1 < n_rows) CHECK_EQUAL(x[m * stride + n], row[n]);
  }
}

}  // namespace

int main() {
  TestProducts();
  TestQuantisation();
  TestActivations();
  TestSoftmax();
}
