#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ctcdecode/error.h"
#include "engine/features.h"
#include "engine/model_file.h"
#include "engine/network.h"
#include "engine/transcript.h"

namespace deepspeech {

// An error that has a number in the C interface (include/deepspeech.h).
class ApiError : public Error {
 public:
  ApiError(int code, const std::string& message) : Error(message), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

class Stream;

// An acoustic model with its settings. Settings may be changed at any time and hold for the streams and transcriptions
// that begin afterwards. Calls from several threads are safe. Everything here throws ApiError.
class Model : public std::enable_shared_from_this<Model> {
 public:
  using Recording = std::pair<const int16_t*, size_t>;  // samples at sample_rate, and their number

  static std::shared_ptr<Model> Load(const std::string& path);
  static std::shared_ptr<Model> LoadBuffer(std::shared_ptr<const std::string> bytes);

  const ModelFile& file() const { return network_.file(); }
  const Network& network() const { return network_; }
  const FeatureExtractor& extractor() const { return extractor_; }
  const std::shared_ptr<const Alphabet>& alphabet() const { return alphabet_; }

  size_t beam_width() const;
  void set_beam_width(size_t beam_width);
  size_t n_threads() const;
  void set_n_threads(size_t n_threads);  // of each stream and transcription; 1 unless told

  void EnableScorer(const std::string& path);  // where it fails the former scorer stays
  void DisableScorer();
  bool has_scorer() const;
  void SetScorerAlphaBeta(double alpha, double beta);
  std::pair<double, double> scorer_alpha_beta() const;  // those of its file until they are set
  void AddHotWord(const std::string& phrase, double boost);
  void EraseHotWord(const std::string& phrase);
  void ClearHotWords();

  std::unique_ptr<Stream> CreateStream();

  // Returns the network's output for whole recordings, float32 [frames, n_classes] each. They are run together, so that
  // a weight that is read serves all of them.
  std::vector<std::vector<float>> ComputeProbabilities(const std::vector<Recording>& recordings) const;

  // Returns up to `n_results` transcripts of each recording, best first.
  std::vector<std::vector<Transcript>> Transcribe(const std::vector<Recording>& recordings, size_t n_results) const;

  Recognition BeginRecognition() const;  // of an utterance, with the present settings

 private:
  explicit Model(std::shared_ptr<const ModelFile> file);

  std::vector<float> PaddedFeatures(const Recording& recording) const;

  Network network_;
  FeatureExtractor extractor_;
  std::shared_ptr<const Alphabet> alphabet_;

  mutable std::mutex mutex_;  // of the settings
  size_t beam_width_, n_threads_ = 1;
  std::shared_ptr<const Scorer> scorer_;
  std::shared_ptr<const Weights> weights_;
  std::map<std::string, double> hot_words_;
};

}  // namespace deepspeech
