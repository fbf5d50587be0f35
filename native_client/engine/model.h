#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "ctcdecode/alphabet.h"
#include "ctcdecode/beam_search.h"
#include "engine/features.h"
#include "engine/model_file.h"
#include "engine/network.h"

namespace deepspeech {

// One label that was heard.
struct Token {
  std::string text;   // a character, in bytes mode a byte
  int timestep;       // frame of its onset
  double start_time;  // seconds
};

struct Word {
  std::string text;
  double start, end;  // seconds
  double confidence;  // 0 to 1: geometric mean, over the letters, of the probability the network gave each at its best
};

struct Transcript {
  std::string text;
  double confidence;  // ln of the beam search's score
  std::vector<Token> tokens;
  std::vector<Word> words;
};

class Stream;

// An acoustic model with its settings. Settings may be changed at any time and hold for the streams and transcriptions
// begun afterwards. Calls from several threads are safe.
class Model : public std::enable_shared_from_this<Model> {
 public:
  // Throws Error.
  static std::shared_ptr<Model> Load(const std::string& path);
  static std::shared_ptr<Model> LoadBuffer(std::shared_ptr<const std::string> bytes);

  const ModelFile& file() const { return network_.file(); }
  const Alphabet& alphabet() const { return *alphabet_; }
  int sample_rate() const { return file().sample_rate; }
  bool can_stream() const { return !network_.is_bidirectional(); }  // frame by frame; others recognise growing windows

  size_t beam_width() const;
  void set_beam_width(size_t beam_width);  // throws Error for 0
  void set_threads(size_t n_threads);      // of each stream and transcription; 1 unless told. Throws Error for 0

  // Throw Error, the former scorer staying as it was.
  void EnableScorer(const std::string& path);
  void DisableScorer();
  bool has_scorer() const;
  void SetScorerAlphaBeta(double alpha, double beta);
  void AddHotWord(const std::string& phrase, double boost);  // the boost of one that is there already is an error
  void EraseHotWord(const std::string& phrase);
  void ClearHotWords();

  std::unique_ptr<Stream> CreateStream();

  // Transcribes whole recordings: samples at sample_rate, -32768 to 32767. Returns up to `n_results` transcripts of
  // each, best first. Several recordings are run through the network together.
  std::vector<std::vector<Transcript>> Transcribe(const std::vector<std::pair<const int16_t*, size_t>>& recordings,
                                                  size_t n_results);

 private:
  friend class Stream;
  explicit Model(std::shared_ptr<const ModelFile> file);
  SearchOptions Options() const;

  Network network_;
  FeatureExtractor extractor_;
  std::shared_ptr<const Alphabet> alphabet_;

  mutable std::mutex mutex_;  // of what follows
  size_t beam_width_, n_threads_ = 1;
  std::shared_ptr<const Scorer> scorer_;
  std::shared_ptr<const Weights> weights_;
  std::map<std::string, double> hot_words_;
};

// One utterance that arrives bit by bit. Not for several threads at a time; different streams of a model are.
class Stream {
 public:
  virtual ~Stream() = default;

  // Takes samples at the model's rate.
  virtual void Feed(const int16_t* samples, size_t n_samples) = 0;

  // Returns up to `n_results` transcripts of what has been recognised so far. With `flushes` the audio that still waits
  // for more is counted too, as if the utterance ended here; the stream itself is not changed by that.
  virtual std::vector<Transcript> Decode(size_t n_results, bool flushes) = 0;

  // Ends the utterance and returns its transcripts. Throws Error when that has been done before.
  virtual std::vector<Transcript> Finish(size_t n_results) = 0;
};

}  // namespace deepspeech
