#pragma once

#include <complex>
#include <cstddef>
#include <vector>

#include "engine/model_file.h"

namespace deepspeech {

// Mel-frequency cepstra, one window at a time.
//
// kStreaming: those of DeepSpeech 0.4 to 0.9.3: TensorFlow's AudioSpectrogram and Mfcc operations (periodic Hann
// window, squared magnitude, 40 mel filters from 20 Hz to half the rate).
// kClassic: those of DeepSpeech 0.1: python_speech_features.mfcc (pre-emphasis 0.97, rectangular window, as many
// filters as cepstra, lifter 22, log energy in place of c0). In float64, as both.
class FeatureExtractor {
 public:
  FeatureExtractor(FeatureKind kind, int sample_rate, int window, int step, int n_input);

  int window() const { return window_; }
  int step() const { return step_; }
  int n_input() const { return n_input_; }

  // Counts the feature vectors of an utterance. kClassic: as training does. kStreaming: the whole windows, and one more
  // for the samples behind them, as every streaming engine since 0.4 has it.
  size_t Frames(size_t n_samples) const;

  // Computes the cepstra of one window.
  // Args:
  //   samples: from the window's beginning, -32768 to 32767; those from `n_valid` to `window` count as zero.
  //   before: the sample before the window; 0 at the beginning of the utterance. Only kClassic looks at it.
  //   cepstra: float32 [n_input], the result.
  void Compute(const int16_t* samples, size_t n_valid, int16_t before, float* cepstra) const;

  // Returns the cepstra of a whole utterance, float32 [Frames(n_samples), n_input].
  std::vector<float> ComputeAll(const int16_t* samples, size_t n_samples) const;

 private:
  // A bin of the spectrum in a mel filter.
  struct Tap {
    int bin, filter;
    double weight;
  };

  void AddStreamingTaps();
  void AddClassicTaps();
  void Transform(std::vector<std::complex<double>>* values) const;

  FeatureKind kind_;
  int sample_rate_, window_, step_, n_input_, n_filters_;
  int fft_size_ = 1;
  std::vector<double> window_function_;
  std::vector<Tap> taps_;
  std::vector<double> cosines_;                 // [n_input, n_filters], lifter included
  std::vector<std::complex<double>> twiddles_;  // [fft_size / 2]
};

// Shifts and scales an utterance to mean 0 and deviation 1 over all its cepstra, which networks of kClassic expect, in
// place. vectors: float32 [n_frames, n_input].
void Whiten(float* vectors, size_t n_frames, size_t n_input);

}  // namespace deepspeech
