#pragma once

#include <cstdint>
#include <vector>

namespace deepspeech::scorer_builder {

// One word: the label of each arc from the start, each at least 1 for 0 means "no label" to readers.
using Spelling = std::vector<int32_t>;

// The smallest automaton that accepts a set of words. Every arc leads to a state of a higher number, state 0 is the
// start, and the arcs of a state are sorted by label.
struct Dictionary {
  struct State {
    uint32_t first_arc;
    uint32_t arc_count;
    bool final;
  };
  struct Arc {
    int32_t label;
    uint32_t target;
  };

  std::vector<State> states;
  std::vector<Arc> arcs;
};

// Builds the automaton of `words`, in any order, doubles allowed.
// Throws Error when there are no words, one is empty, or the automaton has more than 2^31 states or arcs.
Dictionary MakeDictionary(std::vector<Spelling> words);

}  // namespace deepspeech::scorer_builder
