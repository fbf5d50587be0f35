#pragma once

#include <cstddef>
#include <vector>

#include "engine/model_file.h"

namespace deepspeech {

// Mel-frequency cepstra, one window at a time.
//
// kStreaming: those of DeepSpeech 0.4 to 0.9.3: TensorFlow's AudioSpectrogram and Mfcc operations (periodic Hann
// window, squared magnitude, 40 mel filters from 20 Hz to half the rate).
// kClassic: those of DeepSpeech 0.1: python_speech_features.mfcc (pre-emphasis 0.97, rectangular window, 26 filters,
// lifter 22, log energy in place of c0). Spectra in float64, as in both.
class FeatureExtractor {
 public:
  FeatureExtractor(FeatureKind kind, int sample_rate, int window, int step, int n_input);

  int window() const { return window_; }
  int step() const { return step_; }
  int n_input() const { return n_input_; }

  // Counts the feature vectors of an utterance as training does (util/features.py: FeatureSet.frames). Streaming
  // engines add one vector for the samples behind the last whole window.
  size_t Frames(size_t n_samples) const;

  // Computes the cepstra of one window.
  // Args:
  //   samples: n_valid samples, each -32768 to 32767, from the window's beginning; those up to `window` count as zero.
  //   before: the sample before the window; 0 at the beginning of the utterance. Only kClassic looks at it.
  //   cepstra: float32 [n_input].
  void Compute(const float* samples, size_t n_valid, float before, float* cepstra) const;

 private:
  FeatureKind kind_;
  int sample_rate_, window_, step_, n_input_, fft_size_;
  std::vector<double> window_function_;
  std::vector<float> filters_;    // [bands, fft_size / 2 + 1], see features.cc
  std::vector<float> transform_;  // [n_input, bands]
  std::vector<double> twiddles_;
};

// Shifts and scales an utterance to mean 0 and deviation 1 over all its cepstra (kClassic networks are trained on
// that), in place. vectors: float32 [n_frames, n_input].
void Whiten(float* vectors, size_t n_frames, size_t n_input);

}  // namespace deepspeech
