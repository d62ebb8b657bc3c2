// Runs the built program as a user would and gives back everything it said.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace linnet {

struct ProgramResult {
  int code = -1;  // exit code; 128 + signal when it died
  std::string output;
  std::string errors;
};

// `arguments` are passed as they are (quoted for the shell); `input` becomes standard input.
ProgramResult RunLinnet(const std::vector<std::string>& arguments, const std::string& input = "");
// The same with at most so many bytes of address space.
ProgramResult RunLinnetWithin(int64_t bytes, const std::vector<std::string>& arguments);

// What `linnet run --json` says with these arguments; expects it to succeed.
nlohmann::json RunJson(std::vector<std::string> arguments);

// A line of the shell, in which $L is the program; what it does not redirect itself is given back.
ProgramResult RunShell(const std::string& line);

// A path in this repository.
std::string InSource(const std::string& path);
// A folder of this test run that is empty when the program starts.
std::string Scratch(const std::string& name);
// The same, made.
std::string Folder(const std::string& name);
void WriteFile(const std::string& path, const std::string& bytes);
std::string ReadFile(const std::string& path);

// Builds without FFmpeg say so; everything else must work.
bool HasVideo(const ProgramResult& result);

}  // namespace linnet
