// ds_ctcdecoder._builder: how text becomes a .scorer file. util/language_model.py is what programs call.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "ctcdecode/error.h"
#include "scorer_builder/language_model.h"
#include "scorer_builder/scorer_file.h"

namespace nb = nanobind;
namespace scorer_builder = deepspeech::scorer_builder;
using namespace nb::literals;

NB_MODULE(_builder, module) {
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const deepspeech::Error& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    }
  });

  module.def(
      "estimate_ngrams",
      [](std::string text, std::string arpa, std::string vocabulary, std::string temporary_folder, uint64_t order,
         std::vector<uint64_t> pruning, uint64_t types, uint64_t memory, bool discount_fallback) {
        scorer_builder::EstimateNgrams(
            {text, arpa, vocabulary, temporary_folder, order, pruning, types, memory, discount_fallback});
      },
      "text"_a, "arpa"_a, "vocabulary"_a, "temporary_folder"_a, "order"_a, "pruning"_a, "types"_a, "memory"_a,
      "discount_fallback"_a, nb::call_guard<nb::gil_scoped_release>(),
      "Estimate n-grams and write them as ARPA; KenLM's failures end the process.");

  module.def(
      "write_binary",
      [](std::string arpa, std::string path, std::string temporary_folder, std::string type, int quantization_bits,
         int pointer_bits, uint64_t memory) {
        scorer_builder::WriteBinary({arpa, path, temporary_folder, type, quantization_bits, pointer_bits, memory});
      },
      "arpa"_a, "path"_a, "temporary_folder"_a, "type"_a, "quantization_bits"_a, "pointer_bits"_a, "memory"_a,
      nb::call_guard<nb::gil_scoped_release>(), "Write n-grams of an ARPA file in KenLM's binary form.");

  module.def(
      "write_scorer",
      [](std::string language_model, std::string path, std::vector<scorer_builder::Spelling> words,
         std::vector<std::string> alphabet, int space, double alpha, double beta) {
        scorer_builder::ScorerSummary summary;
        {
          nb::gil_scoped_release release;
          summary = scorer_builder::WriteScorer({language_model, std::move(words), alphabet, space, alpha, beta}, path);
        }
        nb::dict result;
        result["ngrams"] = summary.ngrams;
        result["states"] = summary.states;
        result["arcs"] = summary.arcs;
        result["bytes"] = summary.bytes;
        return result;
      },
      "language_model"_a, "path"_a, "words"_a, "alphabet"_a, "space"_a, "alpha"_a, "beta"_a,
      "Write a .scorer file; an empty alphabet stands for bytes.");
}
