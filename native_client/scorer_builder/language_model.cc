#include "scorer_builder/language_model.h"

#include <algorithm>
#include <iostream>

#include "ctcdecode/error.h"
#include "lm/builder/output.hh"
#include "lm/builder/pipeline.hh"
#include "lm/config.hh"
#include "lm/model.hh"
#include "util/file.hh"

namespace deepspeech {
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
  config.prune_vocab_file = estimation.vocabulary;
  config.prune_vocab = !estimation.vocabulary.empty();
  config.disallowed_symbol_action = lm::SILENT;
  config.discount.fallback = lm::builder::Discount{{0, 0.5, 1, 1.5}};
  config.discount.bad_action = estimation.discount_fallback ? lm::COMPLAIN : lm::THROW_UP;
  config.initial_probs.interpolate_unigrams = true;
  config.initial_probs.adder_in = util::stream::ChainConfig(0, 2, 32 << 10);
  config.initial_probs.adder_out = config.initial_probs.adder_in;
  config.read_backoffs = config.initial_probs.adder_in;
  return config;
}

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
  output.Add(new lm::builder::PrintHook(arpa.release(), /*verbose_header=*/false));
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

}  // namespace deepspeech
