#include "engine/stream.h"

#include <algorithm>
#include <utility>

namespace deepspeech {
namespace {

constexpr size_t kMostFrames = 64;  // run at a time when much audio is fed at once

// The cepstra of audio that arrives bit by bit.
class FeatureStream {
 public:
  explicit FeatureStream(const FeatureExtractor* extractor) : extractor_(extractor) {}

  // Appends the cepstra of all whole windows to `vectors`.
  void Feed(const int16_t* samples, size_t n_samples, std::vector<float>* vectors) {
    samples_.insert(samples_.end(), samples, samples + n_samples);
    const size_t step = extractor_->step(), window = extractor_->window();
    size_t begin = 0;
    for (; samples_.size() - begin >= window; begin += step) Append(begin, vectors);
    if (begin) before_ = samples_[begin - 1];
    samples_.erase(samples_.begin(), samples_.begin() + begin);
    n_steps_ += begin / step;
  }

  // Appends those of the windows at the utterance's end.
  void Flush(std::vector<float>* vectors) {
    const size_t n_samples = n_steps_ * extractor_->step() + samples_.size();
    const size_t n_more = extractor_->Frames(n_samples) - n_steps_;
    for (size_t i = 0; i < n_more; ++i) Append(std::min(i * extractor_->step(), samples_.size()), vectors);
  }

 private:
  void Append(size_t begin, std::vector<float>* vectors) {
    vectors->resize(vectors->size() + extractor_->n_input());
    extractor_->Compute(samples_.data() + begin, samples_.size() - begin, begin ? samples_[begin - 1] : before_,
                        &*vectors->end() - extractor_->n_input());
  }

  const FeatureExtractor* extractor_;
  std::vector<int16_t> samples_;  // from the beginning of the next window
  int16_t before_ = 0;            // the sample before them
  size_t n_steps_ = 0;            // windows so far
};

// A network with one LSTM, which goes on from its state.
class FrameStream : public Stream {
 public:
  explicit FrameStream(std::shared_ptr<const Model> model)
      : model_(std::move(model)), threads_(model_->n_threads()), progress_(*model_) {}

  void Feed(const int16_t* samples, size_t n_samples) override {
    progress_.features.Feed(samples, n_samples, &progress_.vectors);
    const size_t n_steps = std::max(model_->file().n_steps, 1);
    Run(&progress_, n_waiting(progress_) / n_steps * n_steps);
  }

  std::vector<Transcript> Decode(size_t n_results, bool flushes) override {
    if (!flushes) return progress_.recognition.Decode(n_results);
    Progress ended = progress_;
    return End(&ended, n_results);
  }

  std::vector<Transcript> Finish(size_t n_results) override { return End(&progress_, n_results); }

 private:
  struct Progress {
    explicit Progress(const Model& model)
        : features(&model.extractor()),
          vectors(size_t(model.file().n_context) * model.file().n_input),
          state(model.network().ZeroState()),
          recognition(model.BeginRecognition()) {}

    FeatureStream features;
    std::vector<float> vectors;  // [.., n_input], n_context before the next frame and all behind it
    Network::State state;
    Recognition recognition;
  };

  size_t n_waiting(const Progress& progress) const {
    const size_t around = 2 * model_->file().n_context, n = progress.vectors.size() / model_->file().n_input;
    return n > around ? n - around : 0;
  }

  void Run(Progress* progress, size_t n_frames) {
    const size_t n_input = model_->file().n_input, n_classes = model_->network().n_classes();
    for (size_t begin = 0, n = 0; begin < n_frames; begin += n) {
      n = std::min(n_frames - begin, kMostFrames);
      probabilities_.resize(n * n_classes);
      const Network::Chunk chunk{&progress->vectors[begin * n_input], n, &progress->state, probabilities_.data()};
      model_->network().Run({chunk}, &workspace_, &threads_);
      progress->recognition.Advance(probabilities_.data(), n);
    }
    progress->vectors.erase(progress->vectors.begin(), progress->vectors.begin() + n_frames * n_input);
  }

  std::vector<Transcript> End(Progress* progress, size_t n_results) {
    progress->features.Flush(&progress->vectors);
    progress->vectors.resize(progress->vectors.size() + size_t(model_->file().n_context) * model_->file().n_input);
    Run(progress, n_waiting(*progress));
    return progress->recognition.Decode(n_results);
  }

  const std::shared_ptr<const Model> model_;
  Threads threads_;
  Network::Workspace workspace_;
  std::vector<float> probabilities_;
  Progress progress_;
};

// A network that hears in both directions. What has been recognised so far is asked of windows: the frames that have
// kLookAhead frames behind them are settled, with at most kHistory frames before them; those behind are heard anew
// each time. In the end the whole utterance is run through the network once, and the result is that of Transcribe.
class WindowStream : public Stream {
 public:
  explicit WindowStream(std::shared_ptr<const Model> model)
      : model_(std::move(model)),
        threads_(model_->n_threads()),
        features_(&model_->extractor()),
        settled_(model_->BeginRecognition()),
        beginning_(settled_) {}

  void Feed(const int16_t* samples, size_t n_samples) override { features_.Feed(samples, n_samples, &vectors_); }

  std::vector<Transcript> Decode(size_t n_results, bool flushes) override {
    std::vector<float> vectors = vectors_;
    if (flushes) FeatureStream(features_).Flush(&vectors);
    const size_t n_frames = vectors.size() / model_->file().n_input, n_classes = model_->network().n_classes();
    if (n_frames <= n_settled_) return settled_.Decode(n_results);
    const size_t begin = n_settled_ > kHistory ? n_settled_ - kHistory : 0;
    const std::vector<float> probabilities = Run(std::move(vectors), begin);
    const size_t n_sure = vectors_.size() / model_->file().n_input;
    const size_t settles = n_sure > kLookAhead ? std::max(n_sure - kLookAhead, n_settled_) : n_settled_;
    const float* next = &probabilities[(n_settled_ - begin) * n_classes];
    settled_.Advance(next, settles - n_settled_);
    Recognition recognition = settled_;
    recognition.Advance(next + (settles - n_settled_) * n_classes, n_frames - settles);
    n_settled_ = settles;
    return recognition.Decode(n_results);
  }

  std::vector<Transcript> Finish(size_t n_results) override {
    features_.Flush(&vectors_);
    const std::vector<float> probabilities = Run(std::move(vectors_), 0);
    beginning_.Advance(probabilities.data(), probabilities.size() / model_->network().n_classes());
    return beginning_.Decode(n_results);
  }

 private:
  static constexpr size_t kLookAhead = 100, kHistory = 500;  // frames

  // Returns the probabilities of the frames from `begin` on, as if the utterance began there.
  std::vector<float> Run(std::vector<float> vectors, size_t begin) {
    const size_t n_input = model_->file().n_input, padding = size_t(model_->file().n_context) * n_input;
    Whiten(vectors.data(), vectors.size() / n_input, n_input);
    if (begin * n_input >= padding) {
      vectors.erase(vectors.begin(), vectors.begin() + (begin * n_input - padding));
    } else {
      vectors.insert(vectors.begin(), padding - begin * n_input, 0.0f);
    }
    vectors.resize(vectors.size() + padding);
    const size_t n_frames = (vectors.size() - 2 * padding) / n_input;
    std::vector<float> probabilities(n_frames * model_->network().n_classes());
    model_->network().Run({{vectors.data(), n_frames, nullptr, probabilities.data()}}, &workspace_, &threads_);
    return probabilities;
  }

  const std::shared_ptr<const Model> model_;
  Threads threads_;
  Network::Workspace workspace_;
  FeatureStream features_;
  std::vector<float> vectors_;  // cepstra so far
  Recognition settled_, beginning_;
  size_t n_settled_ = 0;
};

}  // namespace

std::unique_ptr<Stream> MakeStream(std::shared_ptr<const Model> model) {
  if (model->network().is_bidirectional()) return std::make_unique<WindowStream>(std::move(model));
  return std::make_unique<FrameStream>(std::move(model));
}

}  // namespace deepspeech
