// Items of /v1/responses on their way into a history: messages, calls, results, thoughts, tools.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "linnet/error.h"
#include "runtime/chat_history.h"
#include "server/fields.h"
#include "server/request_media.h"

namespace linnet {

// The tools of a request. Those of a namespace, and those that take free text, are functions to the model,
// and get their shape back when it calls them.
class ResponseTools {
 public:
  struct Tool {
    std::string space, name;
    bool custom = false;  // takes a text instead of arguments
  };

  // Errors: kInvalidArgument.
  Status Read(const Fields& body);

  const Json& declarations() const { return declarations_; }  // null: none
  const std::vector<std::string>& notes() const { return notes_; }
  // What the model calls by this name.
  Tool Named(const std::string& flat) const;
  // The name of a tool to the model.
  static std::string FlatName(const std::string& space, const std::string& name);

 private:
  Status ReadOne(const Json& json, const std::string& where, const std::string& space);

  Json declarations_;
  std::map<std::string, Tool> tools_;
  std::vector<std::string> notes_;
};

// Reads items one after the other.
class ResponseItems {
 public:
  explicit ResponseItems(const MediaReader& media) : media_(media) {}

  // A text for the system, before all else.
  void Instructions(const std::string& text);
  // Errors: kInvalidArgument, with the item's place; those of MediaReader.
  Status Add(const Json& item, const std::string& where);

  // Errors: kInvalidArgument, calls are left without their results, or there is nothing to answer.
  Result<std::vector<ChatHistory::Message>> TakeMessages();
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  Status Message(const Fields& item);
  Status Call(const Fields& item, bool custom);
  Status Output(const Fields& item);
  Status Thought(const Fields& item);
  // What a message or a result holds: a text or a list of parts.
  Result<ChatHistory::Message> Content(const Fields& item, const char* member, const char* role);
  ChatHistory::Message& Answer();  // the model's message that is being put together
  void EndAnswer() { answering_ = false; }

  const MediaReader& media_;
  std::vector<ChatHistory::Message> messages_;
  std::vector<std::pair<std::string, std::string>> waiting_;  // calls without a result: ids and names
  bool answering_ = false;  // the last message is the model's, and may be added to
  std::vector<std::string> notes_;
};

// A thought as a client keeps it for us, and back; empty where it is not one of ours.
std::string SealThought(const std::string& thought);
std::string UnsealThought(const std::string& sealed);

}  // namespace linnet
