#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ctcdecode/scorer_file.h"

namespace deepspeech {

// The words a decoder may write, as a trie of labels. Nodes are numbered breadth first, so that the children of a node
// stand side by side, in the order of their labels. The root is node 0.
class Dictionary {
 public:
  static constexpr uint32_t kRoot = 0, kNone = ~uint32_t{0};

  // Unfolds an automaton.
  //
  // Args:
  //   automaton: of a scorer.
  //   end_label: the label that ends a word; kNone: words end where a state is final.
  //   max_nodes: a bound against files that would unfold without end.
  // Throws Error (without the name of the file).
  Dictionary(const Automaton& automaton, uint32_t end_label, uint64_t max_nodes);

  uint32_t size() const { return static_cast<uint32_t>(labels_.size()); }

  // The children of a node are [first_child(node), first_child(node + 1)).
  uint32_t first_child(uint32_t node) const { return first_child_[node]; }
  uint32_t label(uint32_t node) const { return labels_[node]; }

  // Returns the child of a node with a label, or kNone.
  uint32_t Child(uint32_t node, uint32_t label) const;

  bool is_word(uint32_t node) const { return words_[node] != kNone; }
  uint32_t word(uint32_t node) const { return words_[node]; }

  // Gives every word the number that `number` has for its labels.
  void NumberWords(const std::function<uint32_t(const std::vector<int>&)>& number);

  // Returns for every node the greatest value of a word at or below it.
  std::vector<float> BestBelow(const std::function<float(uint32_t)>& value_of_word) const;

 private:
  std::vector<uint32_t> first_child_;  // [size + 1]
  std::vector<uint32_t> labels_;       // [size]
  std::vector<uint32_t> words_;        // [size]
};

}  // namespace deepspeech
