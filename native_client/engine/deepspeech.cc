// The C interface, include/deepspeech.h, over Model and Stream.

#include "deepspeech.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/model.h"
#include "engine/stream.h"

struct ModelState {
  std::shared_ptr<deepspeech::Model> model;
};

struct StreamingState {
  std::unique_ptr<deepspeech::Stream> stream;
  int failure = DS_ERR_OK;  // of feeding, which cannot tell
  std::string message;
};

namespace deepspeech {
namespace {

thread_local std::string last_error;

int Fail(int code, const std::string& message) {
  last_error = message;
  return code;
}

// Calls `work`; returns the code of what it throws. Nothing may be thrown through C.
template <class Work>
int Try(const Work& work) {
  try {
    work();
    return DS_ERR_OK;
  } catch (const ApiError& error) {
    return Fail(error.code(), error.what());
  } catch (const std::exception& error) {
    return Fail(DS_ERR_FAIL_RUN_SESS, error.what());
  }
}

char* Copy(const std::string& text) {
  char* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy) std::memcpy(copy, text.c_str(), text.size() + 1);
  return copy;
}

// A Metadata with everything it points to.
struct Result {
  Metadata metadata;
  std::vector<Transcript> transcripts;
  std::vector<std::vector<TokenMetadata>> tokens;
  std::vector<std::vector<WordMetadata>> words;
  std::vector<CandidateTranscript> candidates;
};
static_assert(std::is_standard_layout<Result>::value, "a Metadata is the beginning of its Result");

Metadata* ToMetadata(std::vector<Transcript> transcripts) {
  std::vector<std::vector<TokenMetadata>> tokens;
  std::vector<std::vector<WordMetadata>> words;
  std::vector<CandidateTranscript> candidates;
  for (const Transcript& transcript : transcripts) {
    tokens.emplace_back();
    for (const Token& token : transcript.tokens) {
      tokens.back().push_back({token.text.c_str(), unsigned(token.timestep), float(token.start_time)});
    }
    words.emplace_back();
    for (const Word& word : transcript.words) {
      words.back().push_back({word.text.c_str(), float(word.start), float(word.end), float(word.confidence)});
    }
    candidates.push_back({tokens.back().data(), unsigned(tokens.back().size()), transcript.confidence});
  }
  const Metadata metadata{candidates.data(), unsigned(candidates.size())};
  auto* result =
      new Result{metadata, std::move(transcripts), std::move(tokens), std::move(words), std::move(candidates)};
  return &result->metadata;
}

char* Text(const std::vector<Transcript>& transcripts) {
  return Copy(transcripts.empty() ? std::string() : transcripts[0].text);
}

std::vector<Transcript> Decode(StreamingState* state, unsigned n_results, bool flushes) {
  if (state->failure) throw ApiError(state->failure, state->message);
  return state->stream->Decode(n_results, flushes);
}

std::vector<Transcript> Finish(StreamingState* state, unsigned n_results) {
  const std::unique_ptr<StreamingState> owned(state);
  if (state->failure) throw ApiError(state->failure, state->message);
  return state->stream->Finish(n_results);
}

std::vector<Transcript> Transcribe(const ModelState* state, const short* samples, unsigned n_samples,
                                   unsigned n_results) {
  return state->model->Transcribe({{samples, n_samples}}, n_results)[0];
}

// Returns what `work` returns, null where it fails.
template <class Work>
auto OrNull(const Work& work) -> decltype(work()) {
  decltype(work()) result = nullptr;
  Try([&] { result = work(); });
  return result;
}

int Create(ModelState** to, const std::function<std::shared_ptr<Model>()>& load) {
  *to = nullptr;
  return Try([&] { *to = new ModelState{load()}; });
}

}  // namespace
}  // namespace deepspeech

using namespace deepspeech;

int DS_CreateModel(const char* aModelPath, ModelState** retval) {
  return Create(retval, [&] { return Model::Load(aModelPath ? aModelPath : ""); });
}

int DS_CreateModelFromBuffer(const char* aModelBuffer, unsigned int aBufferSize, ModelState** retval) {
  return Create(retval, [&] { return Model::LoadBuffer(std::make_shared<std::string>(aModelBuffer, aBufferSize)); });
}

void DS_FreeModel(ModelState* ctx) { delete ctx; }

unsigned int DS_GetModelBeamWidth(const ModelState* aCtx) { return unsigned(aCtx->model->beam_width()); }

int DS_SetModelBeamWidth(ModelState* aCtx, unsigned int aBeamWidth) {
  return Try([&] { aCtx->model->set_beam_width(aBeamWidth); });
}

int DS_GetModelSampleRate(const ModelState* aCtx) { return aCtx->model->file().sample_rate; }

int DS_SetModelThreads(ModelState* aCtx, unsigned int aNumThreads) {
  return Try([&] { aCtx->model->set_n_threads(aNumThreads); });
}

int DS_EnableExternalScorer(ModelState* aCtx, const char* aScorerPath) {
  return Try([&] { aCtx->model->EnableScorer(aScorerPath ? aScorerPath : ""); });
}

int DS_EnableExternalScorerFromBuffer(ModelState* aCtx, const char* aScorerBuffer, unsigned int aBufferSize) {
  char path[] = "/tmp/deepspeech-scorer-XXXXXX";
  const int handle = mkstemp(path);
  if (handle < 0) return Fail(DS_ERR_SCORER_UNREADABLE, "No temporary file for the scorer can be made in /tmp.");
  const int failure = Try([&] {
    std::FILE* file = fdopen(handle, "wb");
    const bool written = std::fwrite(aScorerBuffer, 1, aBufferSize, file) == aBufferSize;
    if (std::fclose(file) != 0 || !written) {
      throw ApiError(DS_ERR_SCORER_UNREADABLE, "There is no room in /tmp for the scorer.");
    }
    aCtx->model->EnableScorer(path);  // which maps the file
  });
  std::remove(path);
  return failure;
}

int DS_DisableExternalScorer(ModelState* aCtx) {
  return Try([&] { aCtx->model->DisableScorer(); });
}

int DS_SetScorerAlphaBeta(ModelState* aCtx, float aAlpha, float aBeta) {
  return Try([&] { aCtx->model->SetScorerAlphaBeta(aAlpha, aBeta); });
}

int DS_AddHotWord(ModelState* aCtx, const char* word, float boost) {
  return Try([&] { aCtx->model->AddHotWord(word, boost); });
}

int DS_EraseHotWord(ModelState* aCtx, const char* word) {
  return Try([&] { aCtx->model->EraseHotWord(word); });
}

int DS_ClearHotWords(ModelState* aCtx) {
  return Try([&] { aCtx->model->ClearHotWords(); });
}

char* DS_SpeechToText(ModelState* aCtx, const short* aBuffer, unsigned int aBufferSize) {
  return OrNull([&] { return Text(Transcribe(aCtx, aBuffer, aBufferSize, 1)); });
}

Metadata* DS_SpeechToTextWithMetadata(ModelState* aCtx, const short* aBuffer, unsigned int aBufferSize,
                                      unsigned int aNumResults) {
  return OrNull([&] { return ToMetadata(Transcribe(aCtx, aBuffer, aBufferSize, aNumResults)); });
}

int DS_CreateStream(ModelState* aCtx, StreamingState** retval) {
  *retval = nullptr;
  return Try([&] {
    auto state = std::make_unique<StreamingState>();
    state->stream = aCtx->model->CreateStream();
    *retval = state.release();
  });
}

void DS_FeedAudioContent(StreamingState* aSctx, const short* aBuffer, unsigned int aBufferSize) {
  if (aSctx->failure) return;
  aSctx->failure = Try([&] { aSctx->stream->Feed(aBuffer, aBufferSize); });
  if (aSctx->failure) aSctx->message = last_error;
}

char* DS_IntermediateDecode(const StreamingState* aSctx) {
  return OrNull([&] { return Text(Decode(const_cast<StreamingState*>(aSctx), 1, false)); });
}

Metadata* DS_IntermediateDecodeWithMetadata(const StreamingState* aSctx, unsigned int aNumResults) {
  return OrNull([&] { return ToMetadata(Decode(const_cast<StreamingState*>(aSctx), aNumResults, false)); });
}

char* DS_IntermediateDecodeFlushBuffers(StreamingState* aSctx) {
  return OrNull([&] { return Text(Decode(aSctx, 1, true)); });
}

Metadata* DS_IntermediateDecodeWithMetadataFlushBuffers(StreamingState* aSctx, unsigned int aNumResults) {
  return OrNull([&] { return ToMetadata(Decode(aSctx, aNumResults, true)); });
}

char* DS_FinishStream(StreamingState* aSctx) {
  return OrNull([&] { return Text(Finish(aSctx, 1)); });
}

Metadata* DS_FinishStreamWithMetadata(StreamingState* aSctx, unsigned int aNumResults) {
  return OrNull([&] { return ToMetadata(Finish(aSctx, aNumResults)); });
}

void DS_FreeStream(StreamingState* aSctx) { delete aSctx; }

const WordMetadata* DS_GetWords(const Metadata* metadata, unsigned int aTranscript, unsigned int* aNumWords) {
  *aNumWords = 0;
  if (aTranscript >= metadata->num_transcripts) return nullptr;
  const std::vector<WordMetadata>& words = reinterpret_cast<const Result*>(metadata)->words[aTranscript];
  *aNumWords = unsigned(words.size());
  return words.data();
}

void DS_FreeMetadata(Metadata* m) { delete reinterpret_cast<Result*>(m); }

void DS_FreeString(char* str) { std::free(str); }

char* DS_Version() { return Copy(DEEPSPEECH_VERSION); }

char* DS_ErrorCodeToErrorMessage(int aErrorCode) {
#define DEEPSPEECH_MEANING(name, number, meaning) \
  if (aErrorCode == name) return Copy(meaning);
  DS_FOR_EACH_ERROR(DEEPSPEECH_MEANING)
#undef DEEPSPEECH_MEANING
  return Copy("This error is unknown: the library may be older than the program.");
}

const char* DS_LastErrorMessage() { return last_error.c_str(); }
