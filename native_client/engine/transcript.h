#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ctcdecode/alphabet.h"
#include "ctcdecode/beam_search.h"

namespace deepspeech {

// A label that was heard.
struct Token {
  std::string text;   // a character; in bytes mode a byte
  int timestep;       // frame of its onset
  double start_time;  // seconds
};

// What stands between two spaces.
struct Word {
  std::string text;
  double start, end;  // seconds
  double
      confidence;  // 0 to 1: geometric mean of the probabilities the network gave to its labels where each was clearest
};

struct Transcript {
  std::string text;
  double confidence;  // ln of the beam search's score
  std::vector<Token> tokens;
  std::vector<Word> words;
};

// The beam search of an utterance, with what is needed to tell how sure the network was of every word. A copy goes its
// own way.
class Recognition {
 public:
  // Throws Error when the options contradict each other.
  Recognition(std::shared_ptr<const Alphabet> alphabet, SearchOptions options, double frame_seconds);

  // Takes the next frames: probabilities [n_frames, n_classes], blank last. Throws Error.
  void Advance(const float* probabilities, size_t n_frames);

  // Returns up to `n_results` transcripts of the frames so far, best first.
  std::vector<Transcript> Decode(size_t n_results);

 private:
  // The frames in which a label was the likeliest.
  struct Span {
    int begin, end;
    float confidence;  // its probability in its best frame
  };

  Span FindSpan(int label, int begin, int end) const;
  Transcript Describe(const Candidate& candidate) const;

  std::shared_ptr<const Alphabet> alphabet_;
  BeamSearch search_;
  double frame_seconds_;
  std::vector<float> probabilities_;  // [frames so far, n_classes]
};

}  // namespace deepspeech
