#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "ctcdecode/beam_search.h"
#include "ctcdecode/error.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace deepspeech {
namespace {

using Frames = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Batch = nb::ndarray<const float, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Result = std::tuple<double, nb::bytes, std::vector<int>, std::vector<int>>;

// A beam search and the things that it, and others with the same settings, share.
struct Settings {
  std::shared_ptr<const Alphabet> alphabet;
  SearchOptions options;
};

nb::bytes ToBytes(const std::string& text) { return nb::bytes(text.data(), text.size()); }

std::vector<Result> ToPython(const Alphabet& alphabet, const std::vector<Candidate>& candidates) {
  std::vector<Result> results;
  for (const Candidate& candidate : candidates) {
    results.emplace_back(candidate.confidence, ToBytes(alphabet.Decode(candidate.tokens)), candidate.tokens,
                         candidate.timesteps);
  }
  return results;
}

Settings MakeSettings(std::shared_ptr<Alphabet> alphabet, size_t beam_width, double cutoff_prob, size_t cutoff_top_n,
                      std::shared_ptr<Scorer> scorer, std::shared_ptr<Weights> weights,
                      const std::vector<std::pair<std::string, double>>& hot_words) {
  SearchOptions options;
  options.beam_width = beam_width;
  options.cutoff_prob = cutoff_prob;
  options.cutoff_top_n = cutoff_top_n;
  options.scorer = std::move(scorer);
  options.weights = std::move(weights);
  if (!hot_words.empty()) {
    const double scale = options.weights ? options.weights->alpha : 1;
    options.hot_words = std::make_shared<HotWords>(hot_words, *alphabet, scale);
  }
  return {std::move(alphabet), std::move(options)};
}

std::vector<std::vector<Result>> PyDecodeBatch(const Settings& settings, const Batch& probabilities,
                                               const std::vector<size_t>& lengths, size_t count, size_t n_threads) {
  if (lengths.size() != probabilities.shape(0)) {
    throw Error("There are " + std::to_string(lengths.size()) + " lengths for " +
                std::to_string(probabilities.shape(0)) + " utterances.");
  }
  for (const size_t length : lengths) {
    if (length > probabilities.shape(1)) {
      throw Error("An utterance has the length " + std::to_string(length) + ", and the batch has " +
                  std::to_string(probabilities.shape(1)) + " frames.");
    }
  }
  std::vector<std::vector<Candidate>> decoded;
  {
    nb::gil_scoped_release release;
    decoded = DecodeBatch(settings.alphabet, settings.options, probabilities.data(), lengths, probabilities.shape(1),
                          probabilities.shape(2), count, n_threads);
  }
  std::vector<std::vector<Result>> results;
  for (const std::vector<Candidate>& candidates : decoded) results.push_back(ToPython(*settings.alphabet, candidates));
  return results;
}

double LogCondProb(const Scorer& scorer, const std::vector<std::string>& words, bool bos, bool eos) {
  Scorer::State state = bos ? scorer.begin_sentence() : scorer.null_context(), next;
  double ln_p = 0;
  for (const std::string& text : words) {
    const uint32_t word = scorer.Word(text);
    if (word == 0) return Scorer::kOutOfVocabulary;
    ln_p = scorer.Score(state, word, &next);
    state = next;
  }
  return eos ? scorer.ScoreEnd(state) : ln_p;
}

void BindAlphabet(nb::module_& module) {
  nb::class_<Alphabet>(module, "Alphabet")
      .def(nb::init<std::vector<std::string>>(), "labels"_a)
      .def_static("bytes", &Alphabet::Bytes)
      .def_static("read", &Alphabet::Read, "path"_a)
      .def_prop_ro("size", &Alphabet::size)
      .def_prop_ro("space", &Alphabet::space)
      .def_prop_ro("is_bytes", &Alphabet::is_bytes)
      .def_prop_ro("labels",
                   [](const Alphabet& alphabet) {
                     std::vector<nb::bytes> labels;
                     for (const std::string& label : alphabet.labels()) labels.push_back(ToBytes(label));
                     return labels;
                   })
      .def("encode",
           [](const Alphabet& alphabet, nb::bytes text) { return alphabet.Encode({text.c_str(), text.size()}); })
      .def("can_encode",
           [](const Alphabet& alphabet, nb::bytes text) { return alphabet.CanEncode({text.c_str(), text.size()}); })
      .def("decode",
           [](const Alphabet& alphabet, const std::vector<int>& ids) { return ToBytes(alphabet.Decode(ids)); });
}

void BindScorer(nb::module_& module) {
  nb::class_<Weights>(module, "Weights");
  nb::class_<Scorer>(module, "Scorer")
      .def(nb::init<const std::string&, const Alphabet&>(), "path"_a, "alphabet"_a,
           nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("is_bytes", &Scorer::is_bytes)
      .def_prop_ro("order", &Scorer::order)
      .def_prop_ro("default_alpha", &Scorer::default_alpha)
      .def_prop_ro("default_beta", &Scorer::default_beta)
      .def(
          "make_weights",
          [](const Scorer& scorer, double alpha, double beta, std::optional<double> oov_penalty, bool look_ahead) {
            return std::const_pointer_cast<Weights>(scorer.MakeWeights(alpha, beta, oov_penalty, look_ahead));
          },
          "alpha"_a, "beta"_a, "oov_penalty"_a.none(), "look_ahead"_a)
      .def("log_cond_prob", &LogCondProb, "words"_a, "bos"_a, "eos"_a);
}

void BindSearch(nb::module_& module) {
  nb::class_<Settings>(module, "Settings")
      .def(
          "__init__",
          [](Settings* to, std::shared_ptr<Alphabet> alphabet, size_t beam_width, double cutoff_prob,
             size_t cutoff_top_n, std::shared_ptr<Scorer> scorer, std::shared_ptr<Weights> weights,
             const std::vector<std::pair<std::string, double>>& hot_words) {
            new (to) Settings(MakeSettings(std::move(alphabet), beam_width, cutoff_prob, cutoff_top_n,
                                           std::move(scorer), std::move(weights), hot_words));
          },
          "alphabet"_a, "beam_width"_a, "cutoff_prob"_a, "cutoff_top_n"_a, "scorer"_a.none(), "weights"_a.none(),
          "hot_words"_a);
  nb::class_<BeamSearch>(module, "BeamSearch")
      .def("__init__",
           [](BeamSearch* to, const Settings& settings) { new (to) BeamSearch(settings.alphabet, settings.options); })
      .def("advance",
           [](BeamSearch& search, const Frames& frames) {
             nb::gil_scoped_release release;
             search.Advance(frames.data(), frames.shape(0), frames.shape(1));
           })
      .def("decode", [](BeamSearch& search, const Settings& settings, size_t count) {
        return ToPython(*settings.alphabet, search.Decode(count));
      });
  module.def("decode_batch", &PyDecodeBatch, "settings"_a, "probabilities"_a, "lengths"_a, "count"_a, "n_threads"_a);
}

}  // namespace
}  // namespace deepspeech

NB_MODULE(_decoder, module) {
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const deepspeech::Error& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
    }
  });
  deepspeech::BindAlphabet(module);
  deepspeech::BindScorer(module);
  deepspeech::BindSearch(module);
}
