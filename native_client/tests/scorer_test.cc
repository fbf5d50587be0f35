// Tests that scorers of every kind are read, and that damaged ones and other files are refused in a sentence.

#include "ctcdecode/scorer.h"

#include <cstring>
#include <filesystem>
#include <random>
#include <thread>

#include "check.h"
#include "ctcdecode/error.h"
#include "scorers.h"

namespace {

using namespace deepspeech;
using namespace deepspeech::tests;

bool Says(const std::string& refusal, const std::string& words) {
  if (refusal.find(words) == std::string::npos) std::cerr << "not in '" << refusal << "'\n";
  return refusal.find(words) != std::string::npos;
}

void TestEveryKind(const TemporaryFolder& folder) {
  for (const TinyScorer& tiny : AllKinds()) {
    Build(tiny, folder, folder / "scorer");
    CHECK_EQUAL(LoadAndDecode(folder / "scorer", 1), "");
    WriteBytes(folder / "plain", WithoutExtension(ReadBytes(folder / "scorer")));
    CHECK_EQUAL(LoadAndDecode(folder / "plain", 1), "");
  }
  for (const char* name : {"words", "trie", "probing", "bytes"}) {
    CHECK_EQUAL(LoadAndDecode(std::string(GOLDEN "/") + name + ".scorer", 1), "");
  }
}

void TestTruncation(const TemporaryFolder& folder) {
  for (const TinyScorer& tiny : {TinyScorer{3, false, "trie", 3, 2}, TinyScorer{3, true, "probing", 0, 0}}) {
    Build(tiny, folder, folder / "scorer");
    const std::string whole = ReadBytes(folder / "scorer");
    const size_t plain = WithoutExtension(whole).size();
    for (size_t size = 0; size < whole.size(); ++size) {
      WriteBytes(folder / "cut", whole.substr(0, size));
      const std::string refusal = LoadAndDecode(folder / "cut", 1);
      // padding may go, and with the whole extension what is left is a scorer of the predecessors
      CHECK(!refusal.empty() || (size <= plain && size + 8 > plain));
    }
  }
}

void TestEveryFlippedBitIsNoticed(const TemporaryFolder& folder) {
  Build({3, false, "trie", 3, 2}, folder, folder / "scorer");
  const std::string whole = ReadBytes(folder / "scorer");
  for (size_t byte = 0; byte < whole.size(); ++byte) {
    std::string flipped = whole;
    flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << byte % 8));
    WriteBytes(folder / "flipped", flipped);
    CHECK(!LoadAndDecode(folder / "flipped", 1).empty());
  }
}

// Without a checksum a changed bit may go unnoticed, but does no harm.
void TestFlippedBitsDoNoHarm(const TemporaryFolder& folder) {
  std::minstd_rand random(7);
  for (const TinyScorer& tiny : AllKinds()) {
    Build(tiny, folder, folder / "scorer");
    const std::string whole = WithoutExtension(ReadBytes(folder / "scorer"));
    for (int i = 0; i < 60; ++i) {
      std::string changed = whole;
      for (uint32_t n = 1 + random() % 3; n > 0; --n) {
        const size_t byte = random() % changed.size();
        changed[byte] = static_cast<char>(changed[byte] ^ (1 << random() % 8));
      }
      WriteBytes(folder / "changed", changed);
      LoadAndDecode(folder / "changed", static_cast<uint32_t>(i));
    }
  }
}

void TestOtherFiles(const TemporaryFolder& folder) {
  const auto refusal = [&](const std::string& content) {
    WriteBytes(folder / "other", content);
    return LoadAndDecode(folder / "other", 1);
  };
  CHECK(Says(refusal(""), "is no scorer"));
  CHECK(Says(refusal("1414678853\n1\n28\n"), "trie of a DeepSpeech before 0.7"));
  CHECK(Says(refusal(std::string("EIRT\x05\0\0\0\0\0\0\0", 12)), "trie of a DeepSpeech before 0.7"));
  CHECK(Says(refusal("\\data\\\nngram 1=3\n"), "language model as text (ARPA)"));
  CHECK(Says(refusal(std::string("\x1c\0\0\0TFL3", 8) + std::string(100, '\0')), "acoustic model"));
  CHECK(Says(LoadAndDecode(folder.path(), 1), "no regular file"));
  CHECK(Says(LoadAndDecode(folder / "absent", 1), "No such file"));

  Build({}, folder, folder / "scorer");
  const std::string whole = ReadBytes(folder / "scorer");
  const size_t trailer = whole.rfind("EIRT");
  CHECK(Says(refusal(whole.substr(0, trailer)), "bare KenLM model"));
  std::string older = whole;
  older[trailer + 4] = 5;
  CHECK(Says(refusal(older), "is of format 5"));
  std::string with_words = whole;
  with_words[100] = 1;
  CHECK(Says(refusal(with_words), "words as text"));
  std::string newer = whole;
  newer[whole.rfind("DSSCORER") + 8] = 2;
  CHECK(Says(refusal(newer), "extension of version 2"));
}

std::string Refusal(const std::string& path, const Alphabet& alphabet) {
  try {
    const Scorer scorer(path, alphabet);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void TestOtherAlphabets(const TemporaryFolder& folder) {
  Build({}, folder, folder / "ours");
  WriteBytes(folder / "theirs", WithoutExtension(ReadBytes(folder / "ours")));
  std::vector<std::string> labels = Letters()->labels();
  CHECK(Says(Refusal(folder / "ours", *Bytes()), "made of words"));
  CHECK(Says(Refusal(folder / "ours", Alphabet({"a", "b"})), "no space to part them"));
  CHECK(Says(Refusal(folder / "theirs", Alphabet({" ", "b"})), "the alphabet has 2 labels"));
  std::rotate(labels.begin() + 1, labels.begin() + 2, labels.end());
  CHECK(Says(Refusal(folder / "ours", Alphabet(labels)), "built for another alphabet"));
  CHECK(Says(Refusal(folder / "theirs", Alphabet(labels)), "are not in its language model"));
  Build({3, true, "trie", 0, 0}, folder, folder / "bytes");
  CHECK(Says(Refusal(folder / "bytes", *Letters()), "made of UTF-8 bytes"));
}

}  // namespace

int main() {
  const TemporaryFolder folder;
  TestEveryKind(folder);
  TestTruncation(folder);
  TestEveryFlippedBitIsNoticed(folder);
  TestFlippedBitsDoNoHarm(folder);
  TestOtherFiles(folder);
  TestOtherAlphabets(folder);
}
