#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model.h"

namespace deepspeech {

// One utterance that arrives bit by bit. Not for several threads at a time; different streams of a model are.
class Stream {
 public:
  virtual ~Stream() = default;

  // Takes samples at the model's rate. Throws ApiError.
  virtual void Feed(const int16_t* samples, size_t n_samples) = 0;

  // Returns up to `n_results` transcripts, best first, of what has been recognised so far. With `flushes` the audio
  // that still waits for more to come counts too, as if the utterance ended here. The stream goes on unchanged. Throws
  // ApiError.
  virtual std::vector<Transcript> Decode(size_t n_results, bool flushes) = 0;

  // Returns the transcripts of the whole utterance. Nothing may be called afterwards. Throws ApiError.
  virtual std::vector<Transcript> Finish(size_t n_results) = 0;
};

// Begins an utterance with the model's present settings; keeps the model.
std::unique_ptr<Stream> MakeStream(std::shared_ptr<const Model> model);

}  // namespace deepspeech
