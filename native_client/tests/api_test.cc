// The C interface as its users see it: results, ownership, errors, several threads.

#include <cmath>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "deepspeech.h"
#include "models.h"

namespace {

using deepspeech::tests::AsTflite;
using deepspeech::tests::Make;

std::vector<short> Noise(size_t n_samples, unsigned seed) {
  std::vector<short> samples(n_samples);
  for (short& sample : samples) sample = short((seed = seed * 1664525u + 1013904223u) >> 16);
  return samples;
}

ModelState* Load(int version) {
  const std::string bytes = AsTflite(*Make({version, version == 6, true, false}), {});
  ModelState* model = nullptr;
  CHECK_EQUAL(DS_CreateModelFromBuffer(bytes.data(), unsigned(bytes.size()), &model), 0);
  return model;
}

// What a result says, in a text that can be compared.
std::string Describe(Metadata* metadata) {
  CHECK(metadata != nullptr);
  std::string text;
  for (unsigned i = 0; i < metadata->num_transcripts; ++i) {
    const CandidateTranscript& transcript = metadata->transcripts[i];
    text += std::to_string(std::lround(transcript.confidence * 1e4)) + ":";
    for (unsigned j = 0; j < transcript.num_tokens; ++j) {
      text += transcript.tokens[j].text + std::to_string(transcript.tokens[j].timestep) + ",";
    }
    unsigned n_words = 0;
    const WordMetadata* words = DS_GetWords(metadata, i, &n_words);
    for (unsigned j = 0; j < n_words; ++j) {
      CHECK(words[j].start_time >= 0 && words[j].end_time > words[j].start_time);
      CHECK(words[j].confidence > 0 && words[j].confidence <= 1);
      text += std::string("[") + words[j].text + "]";
    }
    text += "\n";
  }
  unsigned n_words = 1;
  CHECK(DS_GetWords(metadata, metadata->num_transcripts, &n_words) == nullptr && n_words == 0);
  DS_FreeMetadata(metadata);
  return text;
}

std::string Transcribe(ModelState* model, const std::vector<short>& samples) {
  return Describe(DS_SpeechToTextWithMetadata(model, samples.data(), unsigned(samples.size()), 3));
}

StreamingState* Begin(ModelState* model) {
  StreamingState* stream = nullptr;
  CHECK_EQUAL(DS_CreateStream(model, &stream), 0);
  return stream;
}

void Feed(StreamingState* stream, const std::vector<short>& samples, size_t at_once) {
  for (size_t begin = 0; begin < samples.size(); begin += at_once) {
    DS_FeedAudioContent(stream, &samples[begin], unsigned(std::min(at_once, samples.size() - begin)));
  }
}

std::string TranscribeStream(ModelState* model, const std::vector<short>& samples, size_t at_once) {
  StreamingState* stream = Begin(model);
  Feed(stream, samples, at_once);
  return Describe(DS_FinishStreamWithMetadata(stream, 3));
}

void TestStreamsAgree(int version) {
  ModelState* model = Load(version);
  for (const size_t length : {0, 1, 15, 16, 17, 31, 32, 333, 2000}) {
    const std::vector<short> samples = Noise(length, unsigned(length));
    const std::string whole = Transcribe(model, samples);
    for (const size_t at_once : {1, 7, 160, 5000}) CHECK_EQUAL(TranscribeStream(model, samples, at_once), whole);

    StreamingState* stream = Begin(model);
    Feed(stream, samples, 100);
    Describe(DS_IntermediateDecodeWithMetadata(stream, 3));
    const std::string flushed = Describe(DS_IntermediateDecodeWithMetadataFlushBuffers(stream, 3));
    if (version == 6 || length < 1000) CHECK_EQUAL(flushed, whole);  // all is within the window that is heard anew
    DS_FreeString(DS_IntermediateDecode(stream));
    DS_FreeString(DS_IntermediateDecodeFlushBuffers(stream));
    CHECK_EQUAL(Describe(DS_FinishStreamWithMetadata(stream, 3)), whole);
  }
  DS_FreeModel(model);
}

void TestStreamOutlivesModel() {
  ModelState* model = Load(6);
  const std::vector<short> samples = Noise(500, 3);
  const std::string whole = Transcribe(model, samples);
  StreamingState *stream = Begin(model), *other = Begin(model);
  DS_FreeModel(model);
  Feed(stream, samples, 50);
  CHECK_EQUAL(Describe(DS_FinishStreamWithMetadata(stream, 3)), whole);
  DS_FreeStream(other);
}

void TestThreads(int version) {
  ModelState* model = Load(version);
  std::vector<std::vector<short>> recordings;
  std::vector<std::string> expected;
  for (unsigned i = 0; i < 4; ++i) {
    recordings.push_back(Noise(3000, i));
    expected.push_back(Transcribe(model, recordings.back()));
  }
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 5; ++round) {
        CHECK_EQUAL(TranscribeStream(model, recordings[i], 160), expected[i]);
        DS_AddHotWord(model, "a", 0.0f);  // settings may change meanwhile
        DS_EraseHotWord(model, "a");
        CHECK_EQUAL(DS_SetModelThreads(model, 1 + i % 2), 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  DS_FreeModel(model);
}

// The code, and a sentence about it.
void CheckFails(int code, int expected) {
  CHECK_EQUAL(code, expected);
  CHECK(std::strlen(DS_LastErrorMessage()) > 20);
}

void TestErrors() {
  ModelState* model = reinterpret_cast<ModelState*>(1);
  CheckFails(DS_CreateModel("", &model), DS_ERR_NO_MODEL);
  CHECK(model == nullptr);
  CheckFails(DS_CreateModel(nullptr, &model), DS_ERR_NO_MODEL);
  CheckFails(DS_CreateModel("/nowhere/model.tflite", &model), DS_ERR_FAIL_INIT_MMAP);
  CHECK(std::strstr(DS_LastErrorMessage(), "/nowhere/model.tflite"));
  CheckFails(DS_CreateModelFromBuffer("something else", 14, &model), DS_ERR_MODEL_INCOMPATIBLE);

  model = Load(6);
  const unsigned beam_width = DS_GetModelBeamWidth(model);
  CheckFails(DS_SetModelBeamWidth(model, 0), DS_ERR_INVALID_SHAPE);
  CHECK_EQUAL(DS_GetModelBeamWidth(model), beam_width);
  CHECK_EQUAL(DS_SetModelBeamWidth(model, 7), 0);
  CHECK_EQUAL(DS_GetModelBeamWidth(model), 7u);
  CHECK_EQUAL(DS_GetModelSampleRate(model), 1000);
  CheckFails(DS_SetModelThreads(model, 0), DS_ERR_INVALID_SHAPE);
  CheckFails(DS_DisableExternalScorer(model), DS_ERR_SCORER_NOT_ENABLED);
  CheckFails(DS_SetScorerAlphaBeta(model, 1, 1), DS_ERR_SCORER_NOT_ENABLED);
  CheckFails(DS_EnableExternalScorer(model, "/nowhere/a.scorer"), DS_ERR_SCORER_UNREADABLE);
  CheckFails(DS_EnableExternalScorerFromBuffer(model, "something else", 14), DS_ERR_INVALID_SCORER);
  CHECK_EQUAL(DS_AddHotWord(model, "a", 2), 0);
  CheckFails(DS_AddHotWord(model, "a", 2), DS_ERR_FAIL_INSERT_HOTWORD);
  CheckFails(DS_AddHotWord(model, "", 2), DS_ERR_FAIL_INSERT_HOTWORD);
  CheckFails(DS_AddHotWord(model, "z", 2), DS_ERR_FAIL_INSERT_HOTWORD);  // not in the alphabet
  CheckFails(DS_EraseHotWord(model, "b"), DS_ERR_FAIL_ERASE_HOTWORD);
  CHECK_EQUAL(DS_EraseHotWord(model, "a"), 0);
  CHECK_EQUAL(DS_ClearHotWords(model), 0);
  Metadata* none = DS_SpeechToTextWithMetadata(model, nullptr, 0, 0);
  CHECK(none != nullptr && none->num_transcripts == 0);
  DS_FreeMetadata(none);
  DS_FreeModel(model);

  DS_FreeModel(nullptr);
  DS_FreeMetadata(nullptr);
  DS_FreeString(nullptr);
  for (const int code : {0, 0x2002, 0x3010, 0x4711}) {
    char* meaning = DS_ErrorCodeToErrorMessage(code);
    CHECK(std::strlen(meaning) > 5);
    DS_FreeString(meaning);
  }
}

}  // namespace

int main() {
  for (const int version : {6, 7}) {
    TestStreamsAgree(version);
    TestThreads(version);
  }
  TestStreamOutlivesModel();
  TestErrors();
}
