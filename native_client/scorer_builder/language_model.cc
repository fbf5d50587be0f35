#include "scorer_builder/language_model.h"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <unordered_set>

#include "ctcdecode/error.h"
#include "lm/builder/output.hh"
#include "lm/builder/pipeline.hh"
#include "lm/common/ngram_stream.hh"
#include "lm/common/print.hh"
#include "lm/config.hh"
#include "lm/model.hh"
#include "lm/weights.hh"
#include "util/file.hh"
#include "util/file_stream.hh"

namespace deepspeech::scorer_builder {
namespace {

std::string TemporaryPrefix(std::string folder) {
  util::NormalizeTempPrefix(folder);
  return folder;
}

std::vector<uint64_t> ThresholdsOf(const Estimation& estimation) {
  std::vector<uint64_t> thresholds = estimation.pruning;
  if (thresholds.size() > estimation.order || !std::is_sorted(thresholds.begin(), thresholds.end())) {
    throw Error("The pruning thresholds are wrong, expected at most one for each order and none below the one before.");
  }
  thresholds.resize(estimation.order, thresholds.empty() ? 0 : thresholds.back());
  return thresholds;
}

lm::builder::PipelineConfig ConfigOf(const Estimation& estimation) {
  lm::builder::PipelineConfig config{};
  config.order = estimation.order;
  config.sort.temp_prefix = TemporaryPrefix(estimation.temporary_folder);
  config.sort.total_memory = estimation.memory;
  config.sort.buffer_size = 64 << 20;
  config.minimum_block = 8 << 10;
  config.block_count = 2;
  config.vocab_estimate = static_cast<lm::WordIndex>(estimation.types);
  config.prune_thresholds = ThresholdsOf(estimation);
  config.disallowed_symbol_action = lm::SILENT;
  config.discount.fallback = lm::builder::Discount{{0, 0.5, 1, 1.5}};
  config.discount.bad_action = estimation.discount_fallback ? lm::COMPLAIN : lm::THROW_UP;
  config.initial_probs.interpolate_unigrams = true;
  config.initial_probs.adder_in = util::stream::ChainConfig(0, 2, 32 << 10);
  config.initial_probs.adder_out = config.initial_probs.adder_in;
  config.read_backoffs = config.initial_probs.adder_in;
  return config;
}

// Writes the n-grams of which all words are kept. Their probabilities stay those of the whole text: what the other
// words would have got is the same loss for every sentence that is left (lmplz's way of limiting a vocabulary gives it
// to the rest, which the text does not support; doc/Scorer.md has the comparison).
class KeptNgrams {
 public:
  KeptNgrams(const std::string& vocabulary, int words, int arpa, const std::vector<uint64_t>& counts)
      : vocabulary_(vocabulary), words_(words), arpa_(arpa), counts_(counts) {}

  void Run(const util::stream::ChainPositions& positions) {
    const lm::VocabReconstitute words(words_);
    const std::vector<bool> kept = Kept(words);
    const std::string reserved = Header(counts_);
    {
      util::FileStream out(arpa_);
      out << reserved;
      for (unsigned order = 1; order < positions.size(); ++order) {
        counts_[order - 1] = Section<lm::ProbBackoff>(positions[order - 1], order, words, kept, out);
      }
      counts_.back() = Section<lm::Prob>(positions.back(), positions.size(), words, kept, out);
      out << "\\end\\\n";
    }
    std::string header = Header(counts_);
    header.insert(0, reserved.size() - header.size(), '\n');  // KenLM skips empty lines there
    util::SeekOrThrow(arpa_, 0);
    util::WriteOrThrow(arpa_, header.data(), header.size());
  }

 private:
  static std::string Header(const std::vector<uint64_t>& counts) {
    std::string header = "\\data\\\n";
    for (size_t i = 0; i < counts.size(); ++i) {
      header += "ngram " + std::to_string(i + 1) + "=" + std::to_string(counts[i]) + "\n";
    }
    return header + "\n";
  }

  std::vector<bool> Kept(const lm::VocabReconstitute& words) const {
    std::unordered_set<std::string> wanted{"<unk>", "<s>", "</s>"};
    std::ifstream file(vocabulary_);
    for (std::string word; std::getline(file, word);) wanted.insert(word);
    std::vector<bool> kept(words.Size());
    for (size_t i = 0; i < kept.size(); ++i) kept[i] = wanted.count(words.Lookup(i)) > 0;
    return kept;
  }

  static void Backoff(const lm::ProbBackoff& weights, util::FileStream& out) { out << '\t' << weights.backoff; }
  static void Backoff(const lm::Prob&, util::FileStream&) {}

  template <class Weights>
  static uint64_t Section(const util::stream::ChainPosition& position, unsigned order,
                          const lm::VocabReconstitute& words, const std::vector<bool>& kept, util::FileStream& out) {
    using Ngram = lm::NGram<Weights>;
    uint64_t count = 0;
    out << '\\' << order << "-grams:\n";
    for (lm::ProxyStream<Ngram> ngram(position, Ngram(nullptr, order)); ngram; ++ngram) {
      if (!std::all_of(ngram->begin(), ngram->end(), [&](lm::WordIndex word) { return kept[word]; })) continue;
      ++count;
      out << ngram->Value().prob << '\t' << words.Lookup(*ngram->begin());
      for (const lm::WordIndex* word = ngram->begin() + 1; word != ngram->end(); ++word) {
        out << ' ' << words.Lookup(*word);
      }
      Backoff(ngram->Value(), out);
      out << '\n';
    }
    out << '\n';
    return count;
  }

  std::string vocabulary_;
  int words_;
  int arpa_;
  std::vector<uint64_t> counts_;
};

class KeptNgramsHook : public lm::builder::OutputHook {
 public:
  KeptNgramsHook(const std::string& vocabulary, int arpa)
      : OutputHook(lm::builder::PROB_SEQUENTIAL_HOOK), vocabulary_(vocabulary), arpa_(arpa) {}

  void Sink(const lm::builder::HeaderInfo& info, int words, util::stream::Chains& chains) override {
    chains >> KeptNgrams(vocabulary_, words, arpa_.get(), info.counts_pruned);
  }

 private:
  std::string vocabulary_;
  util::scoped_fd arpa_;
};

}  // namespace

void EstimateNgrams(const Estimation& estimation) {
  if (estimation.order < 2 || estimation.order > KENLM_MAX_ORDER) {
    throw Error("The order is " + std::to_string(estimation.order) + ", expected 2 to " +
                std::to_string(KENLM_MAX_ORDER) + ".");
  }
  lm::builder::PipelineConfig config = ConfigOf(estimation);
  util::scoped_fd text(util::OpenReadOrThrow(estimation.text.c_str()));
  util::scoped_fd arpa(util::CreateOrThrow(estimation.arpa.c_str()));
  lm::builder::Output output(config.sort.temp_prefix, /*keep_buffer=*/false, /*output_q=*/false);
  if (estimation.vocabulary.empty()) {
    output.Add(new lm::builder::PrintHook(arpa.release(), /*verbose_header=*/false));
  } else {
    output.Add(new KeptNgramsHook(estimation.vocabulary, arpa.release()));
  }
  lm::builder::Pipeline(config, text.release(), output);
}

void WriteBinary(const Binary& binary) {
  lm::ngram::Config config;
  config.messages = &std::cerr;
  config.write_mmap = binary.path.c_str();
  config.include_vocab = false;
  config.temporary_directory_prefix = TemporaryPrefix(binary.temporary_folder);
  config.building_memory = binary.memory;
  config.prob_bits = config.backoff_bits = static_cast<uint8_t>(binary.quantization_bits);
  config.pointer_bhiksha_bits = static_cast<uint8_t>(binary.pointer_bits);
  const char* arpa = binary.arpa.c_str();
  if (binary.type == "probing") {
    config.write_method = lm::ngram::Config::WRITE_AFTER;
    lm::ngram::ProbingModel(arpa, config);
    return;
  }
  if (binary.type != "trie") {
    throw Error("The type of language model is '" + binary.type + "', expected trie or probing.");
  }
  if (binary.quantization_bits && binary.pointer_bits) {
    lm::ngram::QuantArrayTrieModel(arpa, config);
  } else if (binary.quantization_bits) {
    lm::ngram::QuantTrieModel(arpa, config);
  } else if (binary.pointer_bits) {
    lm::ngram::ArrayTrieModel(arpa, config);
  } else {
    lm::ngram::TrieModel(arpa, config);
  }
}

}  // namespace deepspeech::scorer_builder
