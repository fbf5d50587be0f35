// The command `deepspeech`: transcribes WAV files through the C interface alone.

#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/wav.h"
#include "deepspeech.h"

namespace {

namespace fs = std::filesystem;

constexpr char kHelp[] =
    R"(Transcribe WAV files. The transcript is written to standard output, everything else to standard error.

  deepspeech --model MODEL [--scorer SCORER] --audio FILE|DIRECTORY|-

  -m, --model FILE                model: .tflite, .pb or .pbmm
  -l, --scorer FILE               language model and dictionary
  -a, --audio PATH                WAV file, directory of such, or - for standard input; may be repeated
  -b, --beam_width N              prefixes that are followed at a time (the model's)
  -c, --lm_alpha X                weight of the language model (the scorer's)
  -d, --lm_beta X                 worth of each word (the scorer's)
  -w, --hot_words W:X,W:X         words or phrases to listen for, with the boost of each
  -n, --threads N                 threads (1)
  -t                              write the processor time as well, as cpu_time_overall=SECONDS
  -e, --extended                  text as put together from the labels of the metadata
  -j, --json                      JSON with the time of every word
      --candidate_transcripts N   transcripts in JSON (3)
  -s, --stream N                  feed N samples at a time and write every change of the transcript
      --extended_stream N         the same with the text of the metadata
  -v, --version                   write the version
  -h, --help                      write this
)";

struct Options {
  std::string model, scorer, hot_words;
  std::vector<std::string> audio;
  unsigned beam_width = 0, threads = 1, candidates = 3, stream = 0;
  std::optional<float> alpha, beta;
  bool times = false, extended = false, json = false;
};

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Free {
  void operator()(ModelState* model) const { DS_FreeModel(model); }
  void operator()(Metadata* metadata) const { DS_FreeMetadata(metadata); }
  void operator()(StreamingState* stream) const { DS_FreeStream(stream); }
};
using ModelPointer = std::unique_ptr<ModelState, Free>;
using MetadataPointer = std::unique_ptr<Metadata, Free>;

double ParseNumber(const std::string& text, const std::string& option) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end) throw UsageError(option + " needs a number and has '" + text + "'.");
  return value;
}

unsigned ParseCount(const std::string& text, const std::string& option) {
  const double value = ParseNumber(text, option);
  if (value < 1 || value > 1e9 || value != unsigned(value)) {
    throw UsageError(option + " needs a whole number above 0 and has '" + text + "'.");
  }
  return unsigned(value);
}

Options ParseOptions(int argc, char** argv) {
  constexpr int kCandidates = 256, kExtendedStream = 257;
  const option table[] = {{"model", 1, nullptr, 'm'},     {"scorer", 1, nullptr, 'l'},
                          {"audio", 1, nullptr, 'a'},     {"beam_width", 1, nullptr, 'b'},
                          {"lm_alpha", 1, nullptr, 'c'},  {"lm_beta", 1, nullptr, 'd'},
                          {"hot_words", 1, nullptr, 'w'}, {"threads", 1, nullptr, 'n'},
                          {"t", 0, nullptr, 't'},         {"extended", 0, nullptr, 'e'},
                          {"json", 0, nullptr, 'j'},      {"candidate_transcripts", 1, nullptr, kCandidates},
                          {"stream", 1, nullptr, 's'},    {"extended_stream", 1, nullptr, kExtendedStream},
                          {"version", 0, nullptr, 'v'},   {"help", 0, nullptr, 'h'},
                          {nullptr, 0, nullptr, 0}};
  Options options;
  for (int key; (key = getopt_long(argc, argv, "m:l:a:b:c:d:w:n:tejs:vh", table, nullptr)) != -1;) {
    const std::string value = optarg ? optarg : "";
    switch (key) {
      case 'm':
        options.model = value;
        break;
      case 'l':
        options.scorer = value;
        break;
      case 'a':
        options.audio.push_back(value);
        break;
      case 'b':
        options.beam_width = ParseCount(value, "--beam_width");
        break;
      case 'c':
        options.alpha = float(ParseNumber(value, "--lm_alpha"));
        break;
      case 'd':
        options.beta = float(ParseNumber(value, "--lm_beta"));
        break;
      case 'w':
        options.hot_words = value;
        break;
      case 'n':
        options.threads = ParseCount(value, "--threads");
        break;
      case 't':
        options.times = true;
        break;
      case 'e':
        options.extended = true;
        break;
      case 'j':
        options.json = true;
        break;
      case kCandidates:
        options.candidates = ParseCount(value, "--candidate_transcripts");
        break;
      case kExtendedStream:
        options.extended = true;
        [[fallthrough]];
      case 's':
        options.stream = ParseCount(value, "--stream");
        break;
      case 'v':
        std::printf("DeepSpeech  %s\n", DS_Version());
        std::exit(0);
      case 'h':
        std::fputs(kHelp, stdout);
        std::exit(0);
      default:
        throw UsageError("See deepspeech --help.");
    }
  }
  if (optind < argc)
    throw UsageError(std::string("'") + argv[optind] + "' belongs to no option: see deepspeech --help.");
  if (options.model.empty() || options.audio.empty())
    throw UsageError("Give --model and --audio: see deepspeech --help.");
  return options;
}

void Check(int code) {
  if (code != DS_ERR_OK) throw std::runtime_error(DS_LastErrorMessage());
}

template <class T>
T* Check(T* result) {
  if (!result) throw std::runtime_error(DS_LastErrorMessage());
  return result;
}

void AddHotWords(ModelState* model, const std::string& list) {
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    const std::string item = list.substr(begin, end - begin);
    const size_t colon = item.rfind(':');
    if (colon == std::string::npos) throw UsageError("--hot_words has '" + item + "' and needs word:boost.");
    Check(
        DS_AddHotWord(model, item.substr(0, colon).c_str(), float(ParseNumber(item.substr(colon + 1), "--hot_words"))));
    begin = end + 1;
  }
}

ModelPointer LoadModel(const Options& options) {
  ModelState* loaded = nullptr;
  Check(DS_CreateModel(options.model.c_str(), &loaded));
  ModelPointer model(loaded);
  if (options.beam_width) Check(DS_SetModelBeamWidth(loaded, options.beam_width));
  Check(DS_SetModelThreads(loaded, options.threads));
  if (!options.scorer.empty()) Check(DS_EnableExternalScorer(loaded, options.scorer.c_str()));
  if (options.alpha || options.beta) {
    if (!options.alpha || !options.beta) throw UsageError("Give both --lm_alpha and --lm_beta, or neither.");
    Check(DS_SetScorerAlphaBeta(loaded, *options.alpha, *options.beta));
  }
  AddHotWords(loaded, options.hot_words);
  return model;
}

std::string TextOf(const CandidateTranscript& transcript) {
  std::string text;
  for (unsigned i = 0; i < transcript.num_tokens; ++i) text += transcript.tokens[i].text;
  return text;
}

std::string JsonString(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    char escaped[8];
    std::snprintf(escaped, sizeof(escaped), "\\u%04x", c);
    quoted += c == '"' || c == '\\'                  ? std::string("\\") + c
              : static_cast<unsigned char>(c) < 0x20 ? escaped
                                                     : std::string(1, c);
  }
  return quoted + "\"";
}

// The members of one transcript, in the form of 0.9.3's client.
std::string JsonMembers(const Metadata* metadata, unsigned transcript) {
  char number[128];
  std::snprintf(number, sizeof(number), "\"metadata\":{\"confidence\":%.9g},\"words\":[",
                metadata->transcripts[transcript].confidence);
  std::string json = number;
  unsigned n_words = 0;
  const WordMetadata* words = DS_GetWords(metadata, transcript, &n_words);
  for (unsigned i = 0; i < n_words; ++i) {
    std::snprintf(number, sizeof(number), ",\"time\":%.4g,\"duration\":%.4g,\"confidence\":%.4g}", words[i].start_time,
                  words[i].end_time - words[i].start_time, words[i].confidence);
    json += (i ? ",{\"word\":" : "{\"word\":") + JsonString(words[i].text) + number;
  }
  return json + "]";
}

std::string Json(const Metadata* metadata) {
  std::string json = "{\n";
  if (metadata->num_transcripts) json += JsonMembers(metadata, 0);
  if (metadata->num_transcripts > 1) {
    json += ",\n\"alternatives\":[\n";
    for (unsigned i = 1; i < metadata->num_transcripts; ++i)
      json += (i > 1 ? ",\n{" : "{") + JsonMembers(metadata, i) + "}";
    json += "\n]";
  }
  return json + "\n}";
}

// Feeds bit by bit and writes every change; returns the transcript.
std::string TranscribeStream(ModelState* model, const std::vector<int16_t>& samples, unsigned at_once, bool extended) {
  StreamingState* created = nullptr;
  Check(DS_CreateStream(model, &created));
  std::unique_ptr<StreamingState, Free> stream(created);
  const auto text = [&](Metadata* decoded) {
    const MetadataPointer metadata(Check(decoded));
    return metadata->num_transcripts ? TextOf(metadata->transcripts[0]) : std::string();
  };
  const auto plain = [&](char* decoded) {
    const std::string copy = Check(decoded);
    DS_FreeString(decoded);
    return copy;
  };
  std::string last;
  for (size_t begin = 0; begin < samples.size(); begin += at_once) {
    DS_FeedAudioContent(created, &samples[begin], unsigned(std::min<size_t>(at_once, samples.size() - begin)));
    const std::string partial =
        extended ? text(DS_IntermediateDecodeWithMetadata(created, 1)) : plain(DS_IntermediateDecode(created));
    if (partial != last) std::printf("%s\n", partial.c_str());
    last = partial;
  }
  stream.release();
  return extended ? text(DS_FinishStreamWithMetadata(created, 1)) : plain(DS_FinishStream(created));
}

std::string Transcribe(ModelState* model, const std::vector<int16_t>& samples, const Options& options) {
  if (options.stream) return TranscribeStream(model, samples, options.stream, options.extended);
  const unsigned n_results = options.json ? options.candidates : 1;
  const MetadataPointer metadata(
      Check(DS_SpeechToTextWithMetadata(model, samples.data(), unsigned(samples.size()), n_results)));
  if (options.json) return Json(metadata.get());
  return metadata->num_transcripts ? TextOf(metadata->transcripts[0]) : "";
}

bool TranscribeFile(ModelState* model, const std::string& path, const Options& options) {
  try {
    const std::clock_t begin = std::clock();
    const std::vector<int16_t> samples = deepspeech::ReadWav(path, DS_GetModelSampleRate(model));
    std::printf("%s\n", Transcribe(model, samples, options).c_str());
    if (options.times) std::printf("cpu_time_overall=%.05f\n", double(std::clock() - begin) / CLOCKS_PER_SEC);
    std::fflush(stdout);
    return true;
  } catch (const std::exception& error) {
    std::cerr << path << ": " << error.what() << "\n";
    return false;
  }
}

bool TranscribeDirectory(ModelState* model, const std::string& directory, const Options& options) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename().string().find(".wav") != std::string::npos) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::printf("Running on directory %s\n", directory.c_str());
  bool is_good = true;
  for (const fs::path& path : paths) {
    std::printf("> %s\n", path.c_str());
    is_good &= TranscribeFile(model, path, options);
  }
  return is_good;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = ParseOptions(argc, argv);
    const ModelPointer model = LoadModel(options);
    bool is_good = true;
    for (const std::string& path : options.audio) {
      is_good &= (fs::is_directory(path) ? TranscribeDirectory : TranscribeFile)(model.get(), path, options);
    }
    return is_good ? 0 : 1;
  } catch (const UsageError& error) {
    std::cerr << error.what() << "\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
