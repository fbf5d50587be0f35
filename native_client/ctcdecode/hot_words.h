#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ctcdecode/alphabet.h"

namespace deepspeech {

// Words and phrases whose probability is raised (or lowered) once for each time they are written.
//
// An automaton over labels that finds all of them at once (Aho and Corasick 1975). Where the alphabet has a space, a
// phrase counts between word boundaries only, the beginning and the end of the utterance being such; where labels are
// bytes, of any script, it counts everywhere. A positive boost
// is given letter by letter and taken back where the phrase breaks off, so that it helps the phrase into the beam.
class HotWords {
 public:
  // Args:
  //   boosts: phrases with their boost, a logarithm.
  //   alphabet: of the network.
  //   scale: multiplies every boost.
  // Throws Error for phrases that cannot be written and boosts that are not finite.
  HotWords(const std::vector<std::pair<std::string, double>>& boosts, const Alphabet& alphabet, double scale);

  int32_t start() const { return start_; }
  int32_t Next(int32_t state, int label) const;

  // Whether the present word, up to here, is part of a phrase.
  bool InPhrase(int32_t state) const { return states_[state].depth > (space_ >= 0 ? 1 : 0); }
  // Whether a word that ends here has been a whole word of a phrase.
  bool IsWholeWord(int32_t state) const;

  // Returns the logarithm of what a step multiplies the probability with.
  double Step(int32_t from, int32_t to) const { return states_[to].gain + states_[to].credit - states_[from].credit; }
  // Returns the same for the end of the utterance.
  double End(int32_t state, int last_label) const;
  // The greatest value of Step.
  double max_step() const { return max_step_; }

 private:
  struct State {
    std::vector<std::pair<int, int32_t>> next;
    int32_t failure = 0;  // the longest proper suffix that is a state
    int depth = 0;        // labels, the space before the phrase counted
    double gain = 0;      // of the phrases that end here
    double credit = 0;    // given in advance
  };

  int32_t FindNext(int32_t state, int label) const;
  void Add(const std::vector<int>& pattern, double boost);
  void Link();

  int space_;
  std::vector<State> states_;
  int32_t start_ = 0;
  double max_step_ = 0;
};

}  // namespace deepspeech
