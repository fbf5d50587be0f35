#include "engine/features.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace deepspeech {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr int kStreamingFilters = 40;
constexpr double kStreamingLowest = 20.0;  // Hz
constexpr double kPreEmphasis = 0.97;
constexpr double kLifter = 22.0;
constexpr double kEpsilon = 2.220446049250313e-16;  // of a float64: python_speech_features puts it in the place of 0

double Positive(double x) { return x == 0 ? kEpsilon : x; }

}  // namespace

FeatureExtractor::FeatureExtractor(FeatureKind kind, int sample_rate, int window, int step, int n_input)
    : kind_(kind), sample_rate_(sample_rate), window_(window), step_(step), n_input_(n_input) {
  const bool is_classic = kind == FeatureKind::kClassic;
  n_filters_ = is_classic ? n_input : kStreamingFilters;
  while (fft_size_ < window || (is_classic && fft_size_ < 512)) fft_size_ *= 2;
  for (int i = 0; i < fft_size_ / 2; ++i) twiddles_.push_back(std::polar(1.0, -2 * kPi * i / fft_size_));
  for (int i = 0; i < window; ++i) {
    window_function_.push_back(is_classic ? 1.0 : 0.5 - 0.5 * std::cos(2 * kPi * i / window));
  }
  is_classic ? AddClassicTaps() : AddStreamingTaps();
  for (int i = 0; i < n_input; ++i) {
    const double lift = is_classic ? 1 + kLifter / 2 * std::sin(kPi * i / kLifter) : 1;
    for (int j = 0; j < n_filters_; ++j) {
      cosines_.push_back(lift * std::sqrt(2.0 / n_filters_) * std::cos(kPi / n_filters_ * i * (j + 0.5)));
    }
  }
}

// tensorflow/core/kernels/mfcc_mel_filterbank.cc: every bin is shared, linearly on the mel scale, between the two
// filters whose centres lie around it.
void FeatureExtractor::AddStreamingTaps() {
  const auto mel = [](double hertz) { return 1127.0 * std::log1p(hertz / 700.0); };
  const double highest = sample_rate_ / 2.0, bin_width = static_cast<double>(sample_rate_) / fft_size_;
  const double lowest_mel = mel(kStreamingLowest), spacing = (mel(highest) - lowest_mel) / (n_filters_ + 1);
  const int last = std::min(fft_size_ / 2, static_cast<int>(highest / bin_width));
  for (int bin = static_cast<int>(1.5 + kStreamingLowest / bin_width); bin <= last; ++bin) {
    const double place = (mel(bin * bin_width) - lowest_mel) / spacing;  // centres are at 1, 2, ...
    const int below = std::min(static_cast<int>(place), n_filters_);
    const double share = place - below;
    if (below >= 1) taps_.push_back({bin, below - 1, 1 - share});
    if (below < n_filters_) taps_.push_back({bin, below, share});
  }
}

// python_speech_features.get_filterbanks: triangles between whole bins.
void FeatureExtractor::AddClassicTaps() {
  const double highest_mel = 2595 * std::log10(1 + sample_rate_ / 2 / 700.0);
  std::vector<int> edges;
  for (int i = 0; i < n_filters_ + 2; ++i) {
    const double hertz = 700 * (std::pow(10, highest_mel * i / (n_filters_ + 1) / 2595) - 1);
    edges.push_back(static_cast<int>(std::floor((fft_size_ + 1) * hertz / sample_rate_)));
  }
  for (int filter = 0; filter < n_filters_; ++filter) {
    const int left = edges[filter], centre = edges[filter + 1], right = edges[filter + 2];
    for (int bin = left; bin < centre; ++bin) taps_.push_back({bin, filter, double(bin - left) / (centre - left)});
    for (int bin = centre; bin < right; ++bin) taps_.push_back({bin, filter, double(right - bin) / (right - centre)});
  }
}

size_t FeatureExtractor::Frames(size_t n_samples) const {
  const size_t behind = n_samples > size_t(window_) ? n_samples - window_ : 0;
  if (kind_ == FeatureKind::kClassic) {
    const size_t half_step = step_ / 2;  // the library counts windows at half our step; every second one is kept
    return (behind + half_step - 1) / half_step / 2 + 1;
  }
  return (n_samples >= size_t(window_) ? behind / step_ + 1 : 0) + 1;
}

void FeatureExtractor::Compute(const int16_t* samples, size_t n_valid, int16_t before, float* cepstra) const {
  const bool is_classic = kind_ == FeatureKind::kClassic;
  n_valid = std::min(n_valid, size_t(window_));
  std::vector<std::complex<double>> spectrum(fft_size_);
  for (size_t i = 0; i < n_valid; ++i) {
    const double emphasised = samples[i] - kPreEmphasis * (i ? samples[i - 1] : before);
    spectrum[i] = is_classic ? emphasised : samples[i] / 32768.0 * window_function_[i];
  }
  Transform(&spectrum);

  std::vector<double> values(fft_size_ / 2 + 1);  // classic: power; streaming: magnitude
  double energy = 0;
  for (size_t bin = 0; bin < values.size(); ++bin) {
    const double power = std::norm(spectrum[bin]);
    values[bin] = is_classic ? power / fft_size_ : std::sqrt(static_cast<float>(power));
    energy += values[bin];
  }
  std::vector<double> filtered(n_filters_);
  for (const Tap& tap : taps_) filtered[tap.filter] += tap.weight * values[tap.bin];
  for (double& value : filtered) value = std::log(is_classic ? Positive(value) : std::max(value, 1e-12));
  for (int i = 0; i < n_input_; ++i) {
    double sum = 0;
    for (int j = 0; j < n_filters_; ++j) sum += cosines_[i * n_filters_ + j] * filtered[j];
    cepstra[i] = static_cast<float>(sum);
  }
  if (is_classic) cepstra[0] = static_cast<float>(std::log(Positive(energy)));
}

std::vector<float> FeatureExtractor::ComputeAll(const int16_t* samples, size_t n_samples) const {
  std::vector<float> vectors(Frames(n_samples) * n_input_);
  for (size_t frame = 0; frame * n_input_ < vectors.size(); ++frame) {
    const size_t begin = std::min(frame * step_, n_samples);
    Compute(samples + begin, n_samples - begin, begin ? samples[begin - 1] : 0, &vectors[frame * n_input_]);
  }
  return vectors;
}

// Cooley and Tukey 1965, radix 2 in place.
void FeatureExtractor::Transform(std::vector<std::complex<double>>* values) const {
  std::complex<double>* x = values->data();
  for (int i = 1, j = 0; i < fft_size_; ++i) {
    int bit = fft_size_ / 2;
    for (; j & bit; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (int half = 1; half < fft_size_; half *= 2) {
    for (int begin = 0; begin < fft_size_; begin += 2 * half) {
      for (int i = 0; i < half; ++i) {
        const std::complex<double> twiddle = twiddles_[i * (fft_size_ / 2 / half)], low = x[begin + half + i];
        const std::complex<double> turned(low.real() * twiddle.real() - low.imag() * twiddle.imag(),
                                          low.real() * twiddle.imag() + low.imag() * twiddle.real());
        x[begin + half + i] = x[begin + i] - turned;
        x[begin + i] += turned;
      }
    }
  }
}

void Whiten(float* vectors, size_t n_frames, size_t n_input) {
  const size_t n = n_frames * n_input;
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) sum += vectors[i];
  const double mean = sum / std::max<size_t>(n, 1);
  for (size_t i = 0; i < n; ++i) squares += (vectors[i] - mean) * (vectors[i] - mean);
  const double scale = 1 / std::sqrt(squares / std::max<size_t>(n, 1) + 1e-10);
  for (size_t i = 0; i < n; ++i) vectors[i] = static_cast<float>((vectors[i] - mean) * scale);
}

}  // namespace deepspeech
