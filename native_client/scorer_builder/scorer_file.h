#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scorer_builder/dictionary.h"

namespace deepspeech::scorer_builder {

struct ScorerParts {
  std::string language_model;         // a file in KenLM's binary form, without the words
  std::vector<Spelling> words;        // the labels of each word, the first label of the alphabet being 0
  std::vector<std::string> alphabet;  // its labels; empty: words are characters spelled in bytes less one
  int space;                          // the label that ends a word; none where the alphabet is empty
  double alpha;
  double beta;
};

struct ScorerSummary {
  std::vector<uint64_t> ngrams;  // per order
  uint64_t states;               // of the dictionary
  uint64_t arcs;
  uint64_t bytes;
};

// Writes a .scorer file: a language model, the words that may be written, the alphabet they are written in, and a
// checksum. Older readers stop before the last two. Throws Error.
ScorerSummary WriteScorer(const ScorerParts& parts, const std::string& path);

}  // namespace deepspeech::scorer_builder
