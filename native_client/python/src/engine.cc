#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "engine/model.h"
#include "engine/stream.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace deepspeech {
namespace {

using Samples = nb::ndarray<const int16_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Transcripts = std::vector<Transcript>;

nb::bytes ToBytes(const std::string& text) { return nb::bytes(text.data(), text.size()); }

nb::ndarray<nb::numpy, float> ToArray(std::vector<float> values, size_t n_columns) {
  auto* owned = new std::vector<float>(std::move(values));
  nb::capsule owner(owned, [](void* pointer) noexcept { delete static_cast<std::vector<float>*>(pointer); });
  return {owned->data(), {owned->size() / n_columns, n_columns}, owner};
}

std::vector<Transcripts> TranscribeAll(const Model& model, const std::vector<Samples>& batch, size_t n_results) {
  std::vector<Model::Recording> recordings;
  for (const Samples& samples : batch) recordings.emplace_back(samples.data(), samples.shape(0));
  const nb::gil_scoped_release release;
  return model.Transcribe(recordings, n_results);
}

std::vector<float> ComputeProbabilities(const Model& model, const Samples& samples) {
  const nb::gil_scoped_release release;
  return model.ComputeProbabilities({{samples.data(), samples.shape(0)}})[0];
}

void BindTranscript(nb::module_& module) {
  nb::class_<Transcript>(module, "Transcript")
      .def_prop_ro("text", [](const Transcript& transcript) { return ToBytes(transcript.text); })
      .def_ro("confidence", &Transcript::confidence)
      .def_prop_ro("tokens",
                   [](const Transcript& transcript) {
                     std::vector<std::tuple<nb::bytes, int, double>> tokens;
                     for (const Token& token : transcript.tokens) {
                       tokens.emplace_back(ToBytes(token.text), token.timestep, token.start_time);
                     }
                     return tokens;
                   })
      .def_prop_ro("words", [](const Transcript& transcript) {
        std::vector<std::tuple<nb::bytes, double, double, double>> words;
        for (const Word& word : transcript.words) {
          words.emplace_back(ToBytes(word.text), word.start, word.end, word.confidence);
        }
        return words;
      });
}

void BindStream(nb::module_& module) {
  const auto release = nb::call_guard<nb::gil_scoped_release>();
  nb::class_<Stream>(module, "Stream")
      .def(
          "feed", [](Stream& stream, const Samples& samples) { stream.Feed(samples.data(), samples.shape(0)); },
          "samples"_a, release)
      .def("decode", &Stream::Decode, "n_results"_a, "flushes"_a, release)
      .def("finish", &Stream::Finish, "n_results"_a, release);
}

void BindModel(nb::module_& module) {
  const auto release = nb::call_guard<nb::gil_scoped_release>();
  nb::class_<Model>(module, "Model")
      .def_static("load", &Model::Load, "path"_a, release)
      .def_static(
          "load_bytes",
          [](nb::bytes data) { return Model::LoadBuffer(std::make_shared<std::string>(data.c_str(), data.size())); },
          "data"_a)
      .def_prop_ro("sample_rate", [](const Model& model) { return model.file().sample_rate; })
      .def_prop_ro("can_stream", [](const Model& model) { return !model.network().is_bidirectional(); })
      .def_prop_ro("n_classes", [](const Model& model) { return model.network().n_classes(); })
      .def_prop_ro("n_hidden", [](const Model& model) { return model.network().n_hidden(); })
      .def_prop_ro("version", [](const Model& model) { return model.file().version; })
      .def_prop_ro("is_bytes", [](const Model& model) { return model.file().is_bytes; })
      .def_prop_ro("language", [](const Model& model) { return ToBytes(model.file().language); })
      .def_prop_ro("step_seconds",
                   [](const Model& model) { return double(model.file().step) / model.file().sample_rate; })
      .def_prop_ro("labels",
                   [](const Model& model) {
                     std::vector<nb::bytes> labels;
                     for (const std::string& label : model.alphabet()->labels()) labels.push_back(ToBytes(label));
                     return labels;
                   })
      .def_prop_rw("beam_width", &Model::beam_width, &Model::set_beam_width)
      .def_prop_rw("n_threads", &Model::n_threads, &Model::set_n_threads)
      .def("enable_scorer", &Model::EnableScorer, "path"_a, release)
      .def("disable_scorer", &Model::DisableScorer)
      .def("has_scorer", &Model::has_scorer)
      .def("set_scorer_alpha_beta", &Model::SetScorerAlphaBeta, "alpha"_a, "beta"_a, release)
      .def_prop_ro("scorer_alpha_beta", &Model::scorer_alpha_beta)
      .def("add_hot_word", &Model::AddHotWord, "phrase"_a, "boost"_a)
      .def("erase_hot_word", &Model::EraseHotWord, "phrase"_a)
      .def("clear_hot_words", &Model::ClearHotWords)
      .def("create_stream", &Model::CreateStream)
      .def("transcribe", &TranscribeAll, "recordings"_a, "n_results"_a)
      .def(
          "features",
          [](const Model& model, const Samples& samples) {
            return ToArray(model.extractor().ComputeAll(samples.data(), samples.shape(0)), model.file().n_input);
          },
          "recording"_a)
      .def(
          "probabilities",
          [](const Model& model, const Samples& samples) {
            return ToArray(ComputeProbabilities(model, samples), model.network().n_classes());
          },
          "recording"_a);
}

// A RuntimeError with the number of the C interface in its attribute `code`.
void BindError(nb::module_& module) {
  static PyObject* const type = PyErr_NewException("deepspeech._engine.Error", PyExc_RuntimeError, nullptr);
  module.attr("Error") = nb::borrow(type);
  nb::register_exception_translator([](const std::exception_ptr& pointer, void*) {
    try {
      std::rethrow_exception(pointer);
    } catch (const ApiError& error) {
      const nb::object value = nb::borrow(type)(error.what());
      value.attr("code") = error.code();
      PyErr_SetObject(type, value.ptr());
    }
  });
}

}  // namespace
}  // namespace deepspeech

NB_MODULE(_engine, module) {
  deepspeech::BindError(module);
  deepspeech::BindTranscript(module);
  deepspeech::BindStream(module);
  deepspeech::BindModel(module);
  module.attr("__version__") = DEEPSPEECH_VERSION;
}
