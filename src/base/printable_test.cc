#include "base/printable.h"

#include <gtest/gtest.h>

namespace linnet {
namespace {

TEST(Printable, OrdinaryTextStays) {
  for (const char* text : {"", "a b.png", "Grüße/été.jpg", "写真.heic", "🐣.png", "C:\\pictures"}) {
    EXPECT_EQ(Printable(text), text);
  }
}

TEST(Printable, WhatATerminalObeysIsWrittenOut) {
  EXPECT_EQ(Printable("a\x1b[2Jb"), "a\\x1b[2Jb");
  EXPECT_EQ(Printable("one\ntwo\rthree\tfour"), "one\\ntwo\\x0dthree\\tfour");
  EXPECT_EQ(Printable(std::string_view("\0\a\x7f", 3)), "\\x00\\x07\\x7f");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "\\x9b2J");  // the introducer of eight bits, as UTF-8
  EXPECT_EQ(Printable("\x9b"
                      "2J"),
            "\\x9b2J");                                                       // and alone
  EXPECT_EQ(Printable("gnp.\u202egpj"), "gnp.\\u202egpj");                    // writes backwards
  EXPECT_EQ(Printable("\xe2\x82"), "\\xe2\\x82");                             // cut
  EXPECT_EQ(Printable("\xed\xa0\x80\xc0\x80"), "\\xed\\xa0\\x80\\xc0\\x80");  // not UTF-8
}

}  // namespace
}  // namespace linnet
