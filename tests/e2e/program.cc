#include "program.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace linnet {
namespace {

std::string QuotedWord(const std::string& word) {
  std::string out = "'";
  for (char c : word) {
    if (c == '\'') {
      out.append("'\\''");
    } else {
      out.push_back(c);
    }
  }
  out.push_back('\'');
  return out;
}

const std::filesystem::path& ScratchFolder() {
  static const std::filesystem::path folder = [] {
    const auto path = std::filesystem::temp_directory_path() / ("linnet_e2e_" + std::to_string(getpid()));
    std::filesystem::create_directories(path);
    std::atexit([] { std::filesystem::remove_all(ScratchFolder()); });
    return path;
  }();
  return folder;
}

}  // namespace

std::string InSource(const std::string& path) { return std::string(LINNET_SOURCE_DIR) + "/" + path; }

std::string Scratch(const std::string& name) { return (ScratchFolder() / name).string(); }

std::string Folder(const std::string& name) {
  const std::string folder = Scratch(name);
  std::filesystem::create_directories(folder);
  return folder;
}

bool HasVideo(const ProgramResult& result) {
  return result.errors.find("this build of Linnet reads no") == std::string::npos;
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string ReadFile(const std::string& path) {
  std::ostringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  return bytes.str();
}

namespace {

std::string CommandLine(const std::vector<std::string>& arguments) {
  std::string line = "exec \"$L\"";
  for (const std::string& word : arguments) line += " " + QuotedWord(word);
  return line;
}

}  // namespace

ProgramResult RunLinnet(const std::vector<std::string>& arguments, const std::string& input) {
  WriteFile(Scratch("stdin"), input);
  return RunShell(CommandLine(arguments) + " <" + QuotedWord(Scratch("stdin")));
}

ProgramResult RunLinnetWithin(int64_t bytes, const std::vector<std::string>& arguments) {
  return RunShell("ulimit -v " + std::to_string(bytes / 1024) + "; " + CommandLine(arguments));
}

nlohmann::json RunJson(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"run", "--json"});
  const ProgramResult result = RunLinnet(arguments);
  EXPECT_EQ(result.code, 0) << result.errors;
  nlohmann::json answer = nlohmann::json::parse(result.output, nullptr, false);
  EXPECT_TRUE(answer.is_object()) << result.output;
  return answer;
}

ProgramResult RunShell(const std::string& line) {
  const std::string command = "L=" + QuotedWord(LINNET_PROGRAM) + "; (" + line + "\n) </dev/null >" +
                              QuotedWord(Scratch("stdout")) + " 2>" + QuotedWord(Scratch("stderr"));
  const int status = std::system(command.c_str());
  ProgramResult result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.output = ReadFile(Scratch("stdout"));
  result.errors = ReadFile(Scratch("stderr"));
  return result;
}

}  // namespace linnet
