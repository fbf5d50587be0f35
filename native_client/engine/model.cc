#include "engine/model.h"

#include <algorithm>
#include <fstream>
#include <functional>

#include "deepspeech.h"
#include "engine/stream.h"

namespace deepspeech {
namespace {

constexpr size_t kFramesAtOnce = 64;       // of each recording, where the network can go on from a state
constexpr size_t kMostWholeFrames = 4096;  // of all recordings, where it cannot: bounds the memory

// Gives errors of the layers below their number.
template <class Work>
auto WithCode(int code, const Work& work) {
  try {
    return work();
  } catch (const ApiError&) {
    throw;
  } catch (const Error& error) {
    throw ApiError(code, error.what());
  } catch (const std::bad_alloc&) {
    throw ApiError(DS_ERR_FAIL_CREATE_MODEL, "There is not enough memory.");
  }
}

std::shared_ptr<const Alphabet> MakeAlphabet(const ModelFile& file) {
  return file.is_bytes ? std::make_shared<const Alphabet>(Alphabet::Bytes())
                       : std::make_shared<const Alphabet>(file.labels);
}

void RequireReadable(int code, const char* what, const std::string& path) {
  if (path.empty()) throw ApiError(DS_ERR_NO_MODEL, std::string("The path of the ") + what + " is empty: give a file.");
  if (!std::ifstream(path)) {
    throw ApiError(code, std::string("The ") + what + " " + Quoted(path) + " cannot be opened: check the path.");
  }
}

}  // namespace

std::shared_ptr<Model> Model::Load(const std::string& path) {
  RequireReadable(DS_ERR_FAIL_INIT_MMAP, "model", path);
  return WithCode(DS_ERR_MODEL_INCOMPATIBLE, [&] { return std::shared_ptr<Model>(new Model(ReadModelFile(path))); });
}

std::shared_ptr<Model> Model::LoadBuffer(std::shared_ptr<const std::string> bytes) {
  if (bytes->empty()) throw ApiError(DS_ERR_NO_MODEL, "The model in memory has no bytes: give the content of a file.");
  return WithCode(DS_ERR_MODEL_INCOMPATIBLE,
                  [&] { return std::shared_ptr<Model>(new Model(ReadModelBuffer(std::move(bytes)))); });
}

Model::Model(std::shared_ptr<const ModelFile> file)
    : network_(file),
      extractor_(file->features, file->sample_rate, file->window, file->step, file->n_input),
      alphabet_(WithCode(DS_ERR_INVALID_ALPHABET, [&] { return MakeAlphabet(*file); })),
      beam_width_(file->beam_width) {}

size_t Model::beam_width() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return beam_width_;
}

void Model::set_beam_width(size_t beam_width) {
  if (beam_width == 0) throw ApiError(DS_ERR_INVALID_SHAPE, "A beam width of 0 finds nothing: give 1 or more.");
  const std::lock_guard<std::mutex> lock(mutex_);
  beam_width_ = beam_width;
}

size_t Model::n_threads() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return n_threads_;
}

void Model::set_n_threads(size_t n_threads) {
  if (n_threads == 0) throw ApiError(DS_ERR_INVALID_SHAPE, "0 threads do no work: give 1 or more.");
  const std::lock_guard<std::mutex> lock(mutex_);
  n_threads_ = n_threads;
}

void Model::EnableScorer(const std::string& path) {
  RequireReadable(DS_ERR_SCORER_UNREADABLE, "scorer", path);
  WithCode(DS_ERR_INVALID_SCORER, [&] {
    auto scorer = std::make_shared<const Scorer>(path, *alphabet_);
    if (scorer->is_bytes() != file().is_bytes) {
      throw Error(Quoted(path) + " is a scorer for " + (scorer->is_bytes() ? "UTF-8 bytes" : "an alphabet") +
                  " and the model is for " + (file().is_bytes ? "UTF-8 bytes" : "an alphabet") +
                  ": make one of the model's kind.");
    }
    auto weights = scorer->MakeWeights(scorer->default_alpha(), scorer->default_beta(), std::nullopt, true);
    const std::lock_guard<std::mutex> lock(mutex_);
    scorer_ = std::move(scorer);
    weights_ = std::move(weights);
  });
}

void Model::DisableScorer() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!scorer_) throw ApiError(DS_ERR_SCORER_NOT_ENABLED, "There is no scorer to disable.");
  scorer_.reset();
  weights_.reset();
}

bool Model::has_scorer() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return scorer_ != nullptr;
}

void Model::SetScorerAlphaBeta(double alpha, double beta) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!scorer_) throw ApiError(DS_ERR_SCORER_NOT_ENABLED, "Alpha and beta are of a scorer: enable one first.");
  weights_ = WithCode(DS_ERR_INVALID_SCORER, [&] { return scorer_->MakeWeights(alpha, beta, std::nullopt, true); });
}

std::pair<double, double> Model::scorer_alpha_beta() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!scorer_) throw ApiError(DS_ERR_SCORER_NOT_ENABLED, "Alpha and beta are of a scorer: enable one first.");
  return {weights_->alpha, weights_->beta};
}

void Model::AddHotWord(const std::string& phrase, double boost) {
  WithCode(DS_ERR_FAIL_INSERT_HOTWORD, [&] { HotWords({{phrase, boost}}, *alphabet_, 1); });
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!hot_words_.emplace(phrase, boost).second) {
    throw ApiError(DS_ERR_FAIL_INSERT_HOTWORD, Quoted(phrase) + " is a hot word already: erase it first.");
  }
}

void Model::EraseHotWord(const std::string& phrase) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!hot_words_.erase(phrase)) {
    throw ApiError(DS_ERR_FAIL_ERASE_HOTWORD, Quoted(phrase) + " is not among the hot words.");
  }
}

void Model::ClearHotWords() {
  const std::lock_guard<std::mutex> lock(mutex_);
  hot_words_.clear();
}

Recognition Model::BeginRecognition() const {
  SearchOptions options;
  std::map<std::string, double> hot_words;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    options.beam_width = beam_width_;
    options.scorer = scorer_;
    options.weights = weights_;
    hot_words = hot_words_;
  }
  options.cutoff_top_n = alphabet_->size() + 1;  // all
  return WithCode(DS_ERR_FAIL_CREATE_STREAM, [&] {
    if (!hot_words.empty()) {
      const std::vector<std::pair<std::string, double>> boosts(hot_words.begin(), hot_words.end());
      options.hot_words = std::make_shared<HotWords>(boosts, *alphabet_, options.weights ? options.weights->alpha : 1);
    }
    return Recognition(alphabet_, options, static_cast<double>(file().step) / file().sample_rate);
  });
}

std::unique_ptr<Stream> Model::CreateStream() { return MakeStream(shared_from_this()); }

// Returns the features with zero vectors for what is outside, [n_context + frames + n_context, n_input].
std::vector<float> Model::PaddedFeatures(const Recording& recording) const {
  std::vector<float> vectors = extractor_.ComputeAll(recording.first, recording.second);
  if (network_.is_bidirectional()) Whiten(vectors.data(), vectors.size() / file().n_input, file().n_input);
  const size_t padding = size_t(file().n_context) * file().n_input;
  vectors.insert(vectors.begin(), padding, 0.0f);
  vectors.insert(vectors.end(), padding, 0.0f);
  return vectors;
}

std::vector<std::vector<float>> Model::ComputeProbabilities(const std::vector<Recording>& recordings) const {
  const size_t n_input = file().n_input, n_classes = network_.n_classes();
  const size_t at_once = network_.is_bidirectional() ? SIZE_MAX : kFramesAtOnce;
  const size_t most = network_.is_bidirectional() ? kMostWholeFrames : SIZE_MAX;
  Threads threads(n_threads());
  Network::Workspace workspace;
  std::vector<std::vector<float>> results(recordings.size());
  for (size_t first = 0, end = 0; first < recordings.size(); first = end) {
    std::vector<std::vector<float>> features;
    std::vector<Network::State> states;
    std::vector<size_t> n_frames;
    size_t total = 0;
    for (; end < recordings.size() && (end == first || total < most); ++end) {
      features.push_back(PaddedFeatures(recordings[end]));
      states.push_back(network_.ZeroState());
      n_frames.push_back(features.back().size() / n_input - 2 * file().n_context);
      results[end].resize(n_frames.back() * n_classes);
      total += n_frames.back();
    }
    for (size_t begin = 0;; begin += at_once) {
      std::vector<Network::Chunk> chunks;
      for (size_t i = 0; i < n_frames.size(); ++i) {
        if (n_frames[i] <= begin) continue;
        chunks.push_back({&features[i][begin * n_input], std::min(at_once, n_frames[i] - begin),
                          network_.is_bidirectional() ? nullptr : &states[i], &results[first + i][begin * n_classes]});
      }
      if (chunks.empty()) break;
      network_.Run(chunks, &workspace, &threads);
    }
  }
  return results;
}

std::vector<std::vector<Transcript>> Model::Transcribe(const std::vector<Recording>& recordings,
                                                       size_t n_results) const {
  const std::vector<std::vector<float>> probabilities = ComputeProbabilities(recordings);
  std::vector<std::vector<Transcript>> results(recordings.size());
  const Recognition beginning = BeginRecognition();
  Threads threads(n_threads());
  std::vector<std::string> failures(recordings.size());
  threads.ParallelFor(recordings.size(), 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      try {
        Recognition recognition = beginning;
        recognition.Advance(probabilities[i].data(), probabilities[i].size() / network_.n_classes());
        results[i] = recognition.Decode(n_results);
      } catch (const Error& error) {
        failures[i] = error.what();
      }
    }
  });
  for (const std::string& failure : failures) {
    if (!failure.empty()) throw ApiError(DS_ERR_FAIL_RUN_SESS, failure);
  }
  return results;
}

}  // namespace deepspeech
