// Writes a small model of every kind for the fuzzer to begin with: write_model_seeds FOLDER.

#include <fstream>

#include "check.h"
#include "models.h"

int main(int, char** arguments) {
  for (const deepspeech::tests::Example& example : deepspeech::tests::AllModels()) {
    std::ofstream file(std::string(arguments[1]) + "/" + example.name, std::ios::binary);
    file << example.bytes;
    file.close();
    CHECK(file.good());
  }
}
