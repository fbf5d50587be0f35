// Writes small scorers, without a checksum, for the fuzzer to begin with: write_seeds FOLDER.

#include "scorers.h"

int main(int, char** arguments) {
  using namespace deepspeech::tests;
  const TemporaryFolder folder;
  int number = 0;
  for (const TinyScorer& tiny : AllKinds()) {
    Build(tiny, folder, folder / "scorer");
    const std::string seed = WithoutExtension(ReadBytes(folder / "scorer"));
    WriteBytes(std::string(arguments[1]) + "/tiny" + std::to_string(number++), seed);
  }
}
