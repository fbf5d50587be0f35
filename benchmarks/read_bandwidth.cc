// Prints how fast one core reads memory, in GB/s, for each footprint given in MiB: the best of many passes.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    constexpr size_t kLanes = 64;  // sums that do not wait for one another, as many as fill the vector registers
    const size_t n = static_cast<size_t>(std::atof(argv[i]) * (1 << 20) / sizeof(uint64_t)) / kLanes * kLanes;
    const std::vector<uint64_t> memory(n, 1);
    double best = 0;
    uint64_t sums[kLanes] = {};
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (std::chrono::steady_clock::now() < end) {
      const auto begin = std::chrono::steady_clock::now();
      for (size_t at = 0; at < n; at += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += memory[at + lane];
      }
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      best = std::max(best, n * sizeof(uint64_t) / seconds.count() / 1e9);
    }
    uint64_t sum = 0;
    for (const uint64_t lane : sums) sum += lane;
    if (sum == 0) return 1;  // keeps the loop
    std::printf("%.2f\n", best);
  }
}
