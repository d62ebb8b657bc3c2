// In place of libFuzzer's main: runs every file of a directory, and pieces of each from its start, through
// the target. What is wrong aborts, or a sanitizer says so.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int count, char** arguments) {
  constexpr size_t kPieces = 200;  // a file
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(count == 2 ? arguments[1] : ".")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::vector<char> content(std::istreambuf_iterator<char>(file), {});
    for (size_t piece = 0; piece <= kPieces; ++piece) {
      // A buffer of its own, so that the address sanitizer sees what reads beyond its end.
      const std::vector<uint8_t> input(
          content.begin(), content.begin() + static_cast<ptrdiff_t>(content.size() * piece / kPieces));
      LLVMFuzzerTestOneInput(input.data(), input.size());
    }
    ++files;
  }
  std::printf("%zu seeds, %zu pieces of each\n", files, kPieces);
  return files == 0 ? 1 : 0;
}
