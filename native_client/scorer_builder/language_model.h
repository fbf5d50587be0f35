#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace deepspeech::scorer_builder {

struct Estimation {
  std::string text;        // one sentence per line, words between spaces
  std::string arpa;        // the file to write
  std::string vocabulary;  // a file with a word on each line; n-grams with others are left out. Empty: all stay.
  std::string temporary_folder;
  uint64_t order;
  std::vector<uint64_t> pruning;  // per order, not decreasing, the last one for all higher orders
  uint64_t types;                 // number of different words, roughly
  uint64_t memory;                // in bytes, for the buffers
  bool discount_fallback;         // rather than fail where the text gives no Kneser-Ney discounts
};

// Estimates n-grams with modified Kneser-Ney smoothing as lmplz does (Heafield et al. 2013). What KenLM has to say
// goes to the standard error, and its failures end the process: call it in one that is made for that.
void EstimateNgrams(const Estimation& estimation);

struct Binary {
  std::string arpa;  // the file to read
  std::string path;  // the file to write
  std::string temporary_folder;
  std::string type;       // "trie" or "probing"
  int quantization_bits;  // of a trie; 0: floats
  int pointer_bits;       // of a trie, at most; 0: plain pointers
  uint64_t memory;        // in bytes, for sorting
};

// Writes n-grams in KenLM's binary form without the words, as scorers have it. Talks as EstimateNgrams does.
void WriteBinary(const Binary& binary);

}  // namespace deepspeech::scorer_builder
