#include "client/wav.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>

namespace deepspeech {
namespace {

constexpr unsigned kPcm = 1, kFloat = 3, kExtensible = 0xFFFE;  // format tags

unsigned Number(const std::string& bytes, size_t at, int size) {
  unsigned value = 0;
  for (int i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& stream = path == "-" ? std::cin : file;
  if (!stream) throw std::runtime_error("The file cannot be opened: check the path.");
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

struct Format {
  unsigned tag = 0, channels = 0, rate = 0, bits = 0;
};

// Returns a sample as -32768 to 32767.
double Sample(const std::string& bytes, size_t at, const Format& format) {
  const int size = format.bits / 8;
  if (format.tag == kFloat && size == 4) {
    float value;
    std::memcpy(&value, &bytes[at], 4);
    return value * 32768.0;
  }
  if (format.tag == kFloat) {
    double value;
    std::memcpy(&value, &bytes[at], 8);
    return value * 32768.0;
  }
  if (size == 1) return (static_cast<unsigned char>(bytes[at]) - 128) * 256.0;
  const int32_t value = static_cast<int32_t>(Number(bytes, at, size) << (32 - format.bits));
  return value / 65536.0;
}

bool IsKnown(const Format& format) {
  return format.tag == kFloat ? format.bits == 32 || format.bits == 64
                              : format.tag == kPcm && format.bits % 8 == 0 && format.bits >= 8 && format.bits <= 32;
}

}  // namespace

std::vector<int16_t> ParseWav(const std::string& bytes, int sample_rate) {
  if (bytes.size() < 12 || bytes.compare(0, 4, "RIFF") != 0 || bytes.compare(8, 4, "WAVE") != 0) {
    throw std::runtime_error(
        "The file is no WAV file: convert it, or use the Python program, which reads other formats.");
  }
  Format format;
  size_t begin = 0, size = 0;
  for (size_t at = 12; at + 8 <= bytes.size() && !size;) {
    const size_t length = Number(bytes, at + 4, 4), content = at + 8;
    if (bytes.compare(at, 4, "fmt ") == 0 && length >= 16 && content + length <= bytes.size()) {
      format = {Number(bytes, content, 2), Number(bytes, content + 2, 2), Number(bytes, content + 4, 4),
                Number(bytes, content + 14, 2)};
      if (format.tag == kExtensible && length >= 26) format.tag = Number(bytes, content + 24, 2);
    } else if (bytes.compare(at, 4, "data") == 0) {
      begin = content;
      size = std::min(length, bytes.size() - content);  // a pipe's header does not know how much will come
    }
    at = content + length + length % 2;
  }
  if (!IsKnown(format) || !format.channels) {
    throw std::runtime_error("The WAV file is of format " + std::to_string(format.tag) + " with " +
                             std::to_string(format.bits) + " bits: convert it to 16 bits.");
  }
  if (format.rate != unsigned(sample_rate)) {
    throw std::runtime_error("The file has " + std::to_string(format.rate) + " Hz and the model needs " +
                             std::to_string(sample_rate) + ": convert it, or use the Python program, which resamples.");
  }
  const size_t step = size_t(format.bits / 8) * format.channels;
  std::vector<int16_t> samples(size / step);
  for (size_t i = 0; i < samples.size(); ++i) {
    double sum = 0;
    for (unsigned channel = 0; channel < format.channels; ++channel) {
      sum += Sample(bytes, begin + i * step + channel * (format.bits / 8), format);
    }
    const double mean = sum / format.channels;
    samples[i] = std::isfinite(mean) ? int16_t(std::lrint(std::clamp(mean, -32768.0, 32767.0))) : int16_t(0);
  }
  return samples;
}

std::vector<int16_t> ReadWav(const std::string& path, int sample_rate) { return ParseWav(ReadAll(path), sample_rate); }

}  // namespace deepspeech
