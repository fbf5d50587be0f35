#include "ctcdecode/dictionary.h"

#include <algorithm>
#include <limits>

#include "ctcdecode/error.h"

namespace deepspeech {
namespace {

constexpr size_t kLongestWord = 1000;

}  // namespace

Dictionary::Dictionary(const Automaton& automaton, uint32_t end_label, uint64_t max_nodes) {
  std::vector<uint32_t> states = {automaton.start};  // of the automaton, by node
  labels_ = {kNone};
  words_ = {kNone};
  for (uint32_t node = 0; node < states.size(); ++node) {
    const Automaton::State& state = automaton.states[states[node]];
    first_child_.push_back(size());
    if (is_word(node) && end_label == kNone) continue;  // there the search begins again at the root
    for (uint32_t i = state.first_arc; i < state.first_arc + state.n_arcs; ++i) {
      const Automaton::Arc& arc = automaton.arcs[i];
      if (arc.label == end_label) {
        if (node != kRoot) words_[node] = 0;
        continue;
      }
      if (states.size() >= max_nodes) throw Error("its dictionary has more words than its language model");
      const bool ends = end_label == kNone && automaton.states[arc.target].is_final;
      states.push_back(arc.target);
      labels_.push_back(arc.label);
      words_.push_back(ends ? 0 : kNone);
    }
  }
  first_child_.push_back(size());
  if (size() == 1) throw Error("its dictionary has no words");
}

uint32_t Dictionary::Child(uint32_t node, uint32_t label) const {
  const auto first = labels_.begin() + first_child_[node], last = labels_.begin() + first_child_[node + 1];
  const auto found = std::lower_bound(first, last, label);
  return found != last && *found == label ? static_cast<uint32_t>(found - labels_.begin()) : kNone;
}

void Dictionary::NumberWords(const std::function<uint32_t(const std::vector<int>&)>& number) {
  // Depth first, so that the labels on the way are at hand: (node, child to visit next).
  std::vector<std::pair<uint32_t, uint32_t>> path = {{kRoot, first_child_[kRoot]}};
  std::vector<int> word;
  while (!path.empty()) {
    auto& [node, child] = path.back();
    if (child == first_child_[node + 1]) {
      path.pop_back();
      if (!word.empty()) word.pop_back();
      continue;
    }
    const uint32_t next = child++;
    if (word.size() == kLongestWord) throw Error("a word of its dictionary has more than 1000 labels");
    word.push_back(static_cast<int>(labels_[next]));
    if (is_word(next)) words_[next] = number(word);
    path.emplace_back(next, first_child_[next]);
  }
}

std::vector<float> Dictionary::BestBelow(const std::function<float(uint32_t)>& value_of_word) const {
  std::vector<float> best(size(), -std::numeric_limits<float>::infinity());
  for (uint32_t node = size(); node-- > 0;) {
    if (is_word(node)) best[node] = value_of_word(words_[node]);
    for (uint32_t child = first_child_[node]; child < first_child_[node + 1]; ++child) {
      best[node] = std::max(best[node], best[child]);
    }
  }
  return best;
}

}  // namespace deepspeech
