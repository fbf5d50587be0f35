#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace deepspeech {

// A dictionary as it stands in a scorer: a deterministic automaton whose arcs are sorted by label.
struct Automaton {
  struct Arc {
    uint32_t label;  // id in the alphabet
    uint32_t target;
  };
  struct State {
    bool is_final;
    uint32_t first_arc;
    uint32_t n_arcs;
  };
  uint32_t start = 0;
  std::vector<State> states;
  std::vector<Arc> arcs;
};

// What a .scorer file holds besides its language model.
struct ScorerFile {
  bool is_bytes = false;  // units are the characters of UTF-8, labels its bytes; else units are words
  double alpha = 0, beta = 0;
  uint64_t n_words = 0;  // of the language model
  Automaton dictionary;
  std::optional<std::string> alphabet;  // labels joined by newlines; files of the predecessors have none
};

// Reads and checks a scorer of format 6 (DeepSpeech 0.7 to 0.9.3, Coqui STT 1.x, and ours, which add an alphabet and a
// checksum). Nothing in the file is trusted: afterwards KenLM may map it. Throws Error; files of another kind are
// named.
ScorerFile ReadScorerFile(const std::string& path);

}  // namespace deepspeech
