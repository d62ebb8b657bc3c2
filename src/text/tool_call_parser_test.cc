// Tool calls as models write them when they do not keep to the notation: what is read, and what is marked.
#include <chrono>

#include <fmt/format.h>

#include "text/golden_testing.h"
#include "text/output_parser.h"
#include "text/utf8.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;
using testing::Shown;

struct Written {
  std::string inside;              // of the block
  std::vector<std::string> calls;  // "name arguments", "!" in front: not complete
  std::string text;
  bool open_ended = false;  // what follows decides how the front is read, so that a cut gives another reading
};

std::string Block(const std::string& inside) { return "<|tool_call>" + inside + "<tool_call|>"; }

const Written kWritten[] = {
    // Quotes.
    {R"(call:f{ids:["a",'b']})", {R"(!f {"ids":["a","b"]})"}},
    {R"(call:f{save_as='report, final.docx'})", {R"(!f {"save_as":"report, final.docx"})"}},
    {R"(call:f{opts:{'x': 'y'}})", {R"(!f {"opts":{"x":"y"}})"}},
    {"call:f{a:`x, y: z`,n:2}", {R"(!f {"a":"x, y: z","n":2})"}},
    {"call:f{a:```let b = {c: 1};```,n:2}", {R"(!f {"a":"let b = {c: 1};","n":2})"}},
    {"call:f{a:'''x'y''',n:2}", {R"(!f {"a":"x'y","n":2})"}},
    {R"(call:f{a:"""he said "no", twice""",n:2})", {R"(!f {"a":"he said \"no\", twice","n":2})"}},
    {"call:f{a:“x, y”,n:2}", {R"(!f {"a":"x, y","n":2})"}},
    {"call:f{a:‘x, y’,n:2}", {R"(!f {"a":"x, y","n":2})"}},
    {"call:f{a:«x, y»,n:2}", {R"(!f {"a":"x, y","n":2})"}},
    {"call:f{a:'tom's bike',n:2}", {R"(!f {"a":"tom's bike","n":2})"}},
    {"call:f{a:'it\\'s',b:'c:\\\\d'}", {R"(!f {"a":"it's","b":"c:\\d"})"}},
    {R"(call:f{a:"say "hi" to tom",n:2})", {R"(!f {"a":"say \"hi\" to tom","n":2})"}},
    {R"(call:f{a:"say \"hi\" to tom",n:2})", {R"(f {"a":"say \"hi\" to tom","n":2})"}},
    {R"(call:f{a:"\d+\w",n:2})", {R"(!f {"a":"\\d+\\w","n":2})"}},
    {R"(call:f{a:"é\u00e9\ud83d\ude00"})", {R"(f {"a":"éé😀"})"}},
    {R"(call:f{a:"\ud83d x"})", {"!f {\"a\":\"\uFFFD x\"}"}},
    {"call:f{a:\"two\nlines\",n:2}", {R"(!f {"a":"two\nlines","n":2})"}},
    {R"(call:f{a:"",b:'',c:``,d:<|"|><|"|>})", {R"(!f {"a":"","b":"","c":"","d":""})"}},
    {R"(call:f{<|"|>a<|"|>:1,'b':2,"c":3,`d`:4})", {R"(!f {"a":1,"b":2,"c":3,"d":4})"}},
    {R"(call:f{<|"|>a<|"|>:<|"|>x<|"|>})", {R"(f {"a":"x"})"}},
    {R"(call:f{a:<|"|>x",n:2})", {R"(!f {"a":"x","n":2})"}, "", true},
    {R"(call:f{a:"x<|"|>,n:2})", {R"(!f {"a":"x","n":2})"}, "", true},
    {R"(call:f{a:'x",n:2})", {R"(!f {"a":"x","n":2})"}, "", true},
    {R"(call:f{a:x<|"|>,n:2})", {R"(!f {"a":"x","n":2})"}},
    {R"(call:f{a:<|"|>he said "hi"})", {R"(!f {"a":"he said \"hi\""})"}, "", true},
    {R"(call:f{a:<|"|>x, "y": z<|"|>,n:2})", {R"(f {"a":"x, \"y\": z","n":2})"}},
    {R"(call:f{a:<|"|>x<|"|> n:2})", {R"(!f {"a":"x","n":2})"}},
    {R"(call:f{a:"x" n:2})", {R"(!f {"a":"x","n":2})"}},
    {"call:f{a:'tis the season,n:2}", {R"(!f {"a":"'tis the season","n":2})"}, "", true},
    {"call:f{a:5' 11\",n:2}", {R"(!f {"a":"5' 11","n":2})"}},
    // Words without quotes.
    {"call:f{city:Oslo}", {R"(!f {"city":"Oslo"})"}},
    {"call:f{city:New York,n:2}", {R"(!f {"city":"New York","n":2})"}},
    {"call:f{city:Oslo, Norway,n:2}", {R"(!f {"city":"Oslo, Norway","n":2})"}},
    {"call:f{city:Oslo, Norway}", {R"(!f {"city":"Oslo, Norway"})"}},
    {"call:f{city: Oslo , n: 2 }", {R"(!f {"city":"Oslo","n":2})"}},
    {"call:f{day:2024-05-01,n:2}", {R"(!f {"day":"2024-05-01","n":2})"}},
    {"call:f{at:10:30,n:2}", {R"(!f {"at":"10:30","n":2})"}},
    {"call:f{at:10:30, 11:45,n:2}", {R"(!f {"at":"10:30, 11:45","n":2})"}},
    {"call:f{at:2024-05-01T10:30:00Z,n:2}", {R"(!f {"at":"2024-05-01T10:30:00Z","n":2})"}},
    {"call:f{at:[10:30,11:45]}", {R"(!f {"at":["10:30","11:45"]})"}},
    {"call:f{day:1 May 2024, 10:30 h,n:2}", {R"(!f {"day":"1 May 2024, 10:30 h","n":2})"}},
    {"call:f{url:https://x.org/a,b?c=1,d=2,n:2}", {R"(!f {"url":"https://x.org/a,b?c=1,d=2","n":2})"}},
    {"call:f{a:see [1, 2] and {x:1},n:2}", {R"(!f {"a":"see [1, 2] and {x:1}","n":2})"}},
    {"call:f{a:g(1, b:2),n:2}", {R"-(!f {"a":"g(1, b:2)","n":2})-"}},
    {"call:f{a:sad :(,n:2}", {R"(!f {"a":"sad :(","n":2})"}},
    {"call:f{a:glad :),n:2}", {R"-(!f {"a":"glad :)","n":2})-"}},
    {"call:f{a:x[0,n:2}", {R"(!f {"a":"x[0","n":2})"}},
    {"call:f{a:one\nb:two}", {R"(!f {"a":"one","b":"two"})"}},
    {"call:f{to:tom@x.org,cc:[a@x.org,b@x.org]}", {R"(!f {"to":"tom@x.org","cc":["a@x.org","b@x.org"]})"}},
    {"call:f{a:50%,b:$5,c:#1}", {R"(!f {"a":"50%","b":"$5","c":"#1"})"}},
    {"call:f{a:C:\\tmp,n:2}", {R"(!f {"a":"C:\\tmp","n":2})"}},
    {"call:f{a:Zürich, Straße 5,n:2}", {R"(!f {"a":"Zürich, Straße 5","n":2})"}},
    {"call:f{l:[red, dark blue , green]}", {R"(!f {"l":["red","dark blue","green"]})"}},
    // Numbers and other scalars.
    {"call:f{a:1e5}", {R"(f {"a":100000.0})"}},
    {"call:f{a:1e-05,b:-2.5}", {R"(f {"a":1e-05,"b":-2.5})"}},
    {"call:f{a:-0}", {R"(f {"a":0})"}},
    {"call:f{a:007}", {R"(!f {"a":"007"})"}},
    {"call:f{a:1_000}", {R"(!f {"a":"1_000"})"}},
    {"call:f{a:1,000,n:2}", {R"(!f {"a":"1,000","n":2})"}, "", true},
    {"call:f{a:+47 123 45 678,n:2}", {R"(!f {"a":"+47 123 45 678","n":2})"}},
    {"call:f{a:555-1234}", {R"(!f {"a":"555-1234"})"}},
    {"call:f{a:.5,b:5.,c:+5,d:0x1F}", {R"(!f {"a":".5","b":"5.","c":"+5","d":"0x1F"})"}},
    {"call:f{a:18446744073709551615}", {R"(f {"a":18446744073709551615})"}},
    {"call:f{a:123456789012345678901234567890}", {R"(!f {"a":"123456789012345678901234567890"})"}},
    {"call:f{a:1e999,b:NaN,c:Infinity}", {R"(!f {"a":"1e999","b":"NaN","c":"Infinity"})"}},
    {"call:f{a:true,b:false,c:null,d:None}", {R"(f {"a":true,"b":false,"c":null,"d":null})"}},
    {"call:f{a:True,b:False}", {R"(!f {"a":true,"b":false})"}},
    {"call:f{a:truely,b:nullify}", {R"(!f {"a":"truely","b":"nullify"})"}, "", true},
    {"call:f{a:192.168.0.1}", {R"(!f {"a":"192.168.0.1"})"}},
    // Commas, separators, keys.
    {"call:f{a:1,}", {R"(!f {"a":1})"}},
    {"call:f{,a:1}", {R"(!f {"a":1})"}},
    {"call:f{a:1,,b:2}", {R"(!f {"a":1,"b":2})"}},
    {"call:f{a:1;b:2}", {R"(!f {"a":1,"b":2})"}},
    {"call:f{a:1 b:2}", {R"(!f {"a":1,"b":2})"}},
    {"call:f{a:1\nb:2}", {R"(!f {"a":1,"b":2})"}},
    {"call:f{a:[1 ,2,],b:[,3]}", {R"(!f {"a":[1,2],"b":[3]})"}},
    {"call:f{a=1,b=2}", {R"(!f {"a":1,"b":2})"}},
    {"call:f{a=>1,b:2}", {R"(!f {"a":1,"b":2})"}},
    {"call:f{a{b:1},c[2]}", {R"(!f {"a":{"b":1},"c":[2]})"}},
    {"call:f{a:1,a:2}", {R"(!f {"a":1,"a":2})"}, "", true},
    {"call:f{a:,b:2}", {R"(!f {"a":null,"b":2})"}},
    {"call:f{a:}", {R"(!f {"a":null})"}},
    {"call:f{a}", {R"(!f {"a":null})"}},
    {"call:f{:1}", {R"(!f {"":1})"}},
    {"call:f{first name:<|\"|>Tom<|\"|>}", {R"(f {"first name":"Tom"})"}},
    {"call:f{a.b:1,c-d:2,$e:3}", {R"(f {"a.b":1,"c-d":2,"$e":3})"}},
    {"call:f{1:a,2:b}", {R"(!f {"1":"a","2":"b"})"}},
    // Brackets.
    {R"(call:f({"a": 1}))", {R"(!f {"a":1})"}},
    {R"(call:f( {"a": 1} ))", {R"(!f {"a":1})"}},
    {R"(call:f({"a": 1})", {R"(!f {"a":1})"}},
    {"call:f(a=1, b='x, y')", {R"(!f {"a":1,"b":"x, y"})"}},
    {"call:f(a:1)", {R"(!f {"a":1})"}},
    {"call:f()", {"!f {}"}},
    {"call:f[a:1]", {R"(!f {"a":1})"}},
    {R"(call:f{{"a":1}})", {R"(!f {"a":1})"}},
    {"call:f{a:1", {R"(!f {"a":1})"}},
    {"call:f{a:1}}", {R"(!f {"a":1})"}},
    {"call:f{a:{b:1}", {R"(!f {"a":{"b":1}})"}},
    {"call:f{a:[1,2}", {R"(!f {"a":[1,2]})"}},
    {"call:f{a:[1,[2,3],b:4}", {R"(!f {"a":[1,[2,3],"b:4"]})"}},
    {"call:f{a:[{b:1,{b:2}]}", {R"(!f {"a":[{"b":1},{"b":2}]})"}},
    {"call:f{a:1]}", {R"(!f {"a":1})"}},
    {"call:f{a:[[1,2],[3,4]],b:{c:{d:[]}},e:{}}", {R"(f {"a":[[1,2],[3,4]],"b":{"c":{"d":[]}},"e":{}})"}},
    {R"(call:f{"a": [1, {"b": "c"}], "d": {"e": null}})", {R"(f {"a":[1,{"b":"c"}],"d":{"e":null}})"}},
    // Names.
    {"call: f {a:1}", {R"(!f {"a":1})"}},
    {"call:f {a:1}", {R"(!f {"a":1})"}},
    {"call:\nf{a:1}", {R"(!f {"a":1})"}},
    {"Call:f{a:1}", {R"(!f {"a":1})"}},
    {"call f{a:1}", {R"(!f {"a":1})"}},
    {"call:call:f{a:1}", {R"(!f {"a":1})"}, "", true},
    {"call:f:{a:1}", {R"(!f {"a":1})"}},
    {"call:f a:1, b:2", {R"(!f {"a":1,"b":2})"}},
    {"call:a.b-c_d{}", {"a.b-c_d {}"}},
    {"call:mcp/x:get_y{n:1}", {R"(mcp/x:get_y {"n":1})"}},
    {"call:\"f\"{a:1}", {R"(!f {"a":1})"}},
    {"call:<|\"|>f<|\"|>{a:1}", {R"(!f {"a":1})"}},
    {"call:get weather{a:1}", {R"(!get weather {"a":1})"}},
    {"call:größe{a:1}", {R"(größe {"a":1})"}},
    {"f{a:1}", {R"(!f {"a":1})"}},
    {"f(a=1)", {R"(!f {"a":1})"}},
    {" call:f{a:1} \n", {R"(f {"a":1})"}},
    // Several in one block.
    {"call:f{a:1}call:g{b:2}", {R"(!f {"a":1})", R"(!g {"b":2})"}},
    {"call:f{a:1},call:g{b:2}", {R"(!f {"a":1})", R"(!g {"b":2})"}},
    {"call:f{a:1}; call:g{b:2}", {R"(!f {"a":1})", R"(!g {"b":2})"}},
    {"call:f{a:1}\ncall:g{b:2}\ncall:h{}", {R"(!f {"a":1})", R"(!g {"b":2})", "!h {}"}},
    {"[call:f{a:1}, call:g{b:2}]", {R"(!f {"a":1})", R"(!g {"b":2})"}},
    {"call:f{a:1 call:g{b:2}", {R"(!f {"a":1})", R"(!g {"b":2})"}, "", true},
    {"call:f{a:1,call:g{b:2}}", {R"(!f {"a":1})", R"(!g {"b":2})"}, "", true},
    {"call:f{a:[1,call:g{b:2}", {R"(!f {"a":[1]})", R"(!g {"b":2})"}, "", true},
    {"call:f{a:<|\"|>x}call:g{b:<|\"|>y<|\"|>}", {R"(!f {"a":"x"})", R"(!g {"b":"y"})"}, "", true},
    {"call:f{a:\"x}\ncall:g{b:\"y\"}", {R"(!f {"a":"x"})", R"(!g {"b":"y"})"}, "", true},
    {"call:f{a:'tom's}call:g{b:'y'}", {R"(!f {"a":"tom's"})", R"(!g {"b":"y"})"}, "", true},
    {R"(call:f({"a": 1})call:g({"b": 2}))", {R"(!f {"a":1})", R"(!g {"b":2})"}},
    {"f{a:1}g{b:2}", {R"(!f {"a":1})", R"(!g {"b":2})"}},
    {"call:f{a:<|\"|>call:g{b:2}<|\"|>}", {R"(f {"a":"call:g{b:2}"})"}},
    // JSON instead of the notation.
    {R"({"name": "f", "arguments": {"a": 1}})", {R"(!f {"a":1})"}},
    {R"({"name": "f", "arguments": "{\"a\": 1}"})", {R"(!f {"a":1})"}},
    {R"([{"name": "f", "parameters": {"a": 1}}, {"name": "g", "arguments": {}}])",
     {R"(!f {"a":1})", "!g {}"}},
    {R"({"function": {"name": "f", "arguments": {"a": [1]}}})", {R"(!f {"a":[1]})"}},
    // Something else beside a call, and no call at all.
    {"I look it up: call:f{a:1}", {R"(!f {"a":1})"}, "I look it up:"},
    {"call:f{a:1} and then", {R"(!f {"a":1})"}, "and then"},
    {"I would call the tool (maybe)", {}, "I would call the tool (maybe)"},
    {R"({"name": "tom", "age": 3})", {}, R"({"name": "tom", "age": 3})"},
    {"{a:1}", {}, "{a:1}"},
    {"call:", {}, "call:"},
    {"call:{a:1}", {}, "call:{a:1}"},
};

TEST(ToolCallParser, WhatModelsWrite) {
  for (const Written& written : kWritten) {
    const ParsedOutput output = ParseOutput(Block(written.inside));
    EXPECT_EQ(Shown(output.calls), written.calls) << written.inside;
    EXPECT_EQ(output.text, written.text) << written.inside;
  }
}

std::string Plain(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// Whether a cut may have left this of `whole`: nothing that was not there, and no more than was there.
bool LeftOf(const Json& part, const Json& whole) {
  if (part.is_null() || part == whole) return true;
  if (part.is_object() && whole.is_object()) {
    for (const auto& [key, value] : part.items()) {
      const auto found = whole.find(key);
      const bool cut_key = value.is_null() && std::ranges::any_of(whole.items(), [&](const auto& item) {
                             return item.key().starts_with(key);
                           });
      if (!cut_key && (found == whole.end() || !LeftOf(value, *found))) return false;
    }
    return true;
  }
  if (part.is_array() && whole.is_array()) {
    if (part.size() > whole.size()) return false;
    for (size_t i = 0; i < part.size(); ++i) {
      if (!LeftOf(part[i], whole[i])) return false;
    }
    return true;
  }
  return !part.is_structured() && !whole.is_structured() && Plain(whole).starts_with(Plain(part)) &&
         (part.is_string() || part == whole);
}

// Cuts a block at every byte: no call that is not there, none lost that had its name and bracket, and no
// value but what was written.
int CutEverywhere(const std::string& inside, bool open_ended) {
  const std::string block = Block(inside);
  const std::vector<ToolCall> whole = ParseOutput(block).calls;
  for (size_t end = 0; end < block.size(); ++end) {
    const std::string cut = block.substr(0, end);
    const std::vector<ToolCall> calls = ParseOutput(cut).calls;
    EXPECT_LE(calls.size(), whole.size()) << cut;
    EXPECT_TRUE(!cut.starts_with("<|tool_call>call:f{") || !calls.empty()) << cut;
    for (size_t i = 0; i < std::min(calls.size(), whole.size()); ++i) {
      EXPECT_TRUE(IsValidUtf8(calls[i].arguments)) << cut;
      if (open_ended) continue;
      EXPECT_TRUE(whole[i].name.starts_with(calls[i].name)) << cut;
      EXPECT_TRUE(LeftOf(Json::parse(calls[i].arguments), Json::parse(whole[i].arguments)))
          << cut << " gives " << calls[i].arguments;
      if (i + 1 < calls.size() || calls[i].complete) {
        EXPECT_EQ(calls[i].arguments, whole[i].arguments) << cut;
      }
    }
  }
  return static_cast<int>(block.size());
}

std::string Replaced(std::string text, const std::string& value) { return ReplaceAll(text, "VALUE", value); }

// Every kind of quotes around every text, in every place a string can stand in.
TEST(ToolCallParser, StringsOfAnyQuoting) {
  const std::pair<const char*, const char*> quotes[] = {{"<|\"|>", "<|\"|>"}, {"\"", "\""},   {"'", "'"},
                                                        {"`", "`"},           {"```", "```"}, {"“", "”"},
                                                        {"'''", "'''"},       {"«", "»"}};
  const std::string texts[] = {"Oslo",       "report, final.docx",
                               "a:b",        "10:30, 11:45",
                               "2024-05-01", "x}y",
                               "[1] {2} (3", "k:v, n:2",
                               "Tom & Co",   "Zürich 😀",
                               "true",       "12",
                               "call:g",     "a, b}",
                               " x ",        "</a>"};
  struct Place {
    const char *inside, *arguments;
    bool sound;
  };
  const Place places[] = {
      {"call:f{k:VALUE}", R"({"k":VALUE})", true},
      {"call:f{k:VALUE,n:2}", R"({"k":VALUE,"n":2})", true},
      {"call:f{\"k\": VALUE, \"n\": 2}", R"({"k":VALUE,"n":2})", true},
      {"call:f{l:[VALUE,VALUE],n:2}", R"({"l":[VALUE,VALUE],"n":2})", true},
      {"call:f{o:{k:VALUE},n:2}", R"({"o":{"k":VALUE},"n":2})", true},
      {"call:f({\"k\": VALUE})", R"({"k":VALUE})", false},
      {"call:f(k=VALUE, n=2)", R"({"k":VALUE,"n":2})", false},
      {"call: f {k:VALUE}", R"({"k":VALUE})", false},
      {"call:f{k:VALUE n:2}", R"({"k":VALUE,"n":2})", false},
      {"call:f{k:VALUE", R"({"k":VALUE})", false},
  };
  int cases = 0;
  for (const auto& [open, close] : quotes) {
    const bool sound_quotes = open[0] == '<' || std::string_view(open) == "\"";
    for (const std::string& text : texts) {
      for (const Place& place : places) {
        const std::string inside = Replaced(place.inside, open + text + close);
        const std::string expected =
            (place.sound && sound_quotes ? "f " : "!f ") + Replaced(place.arguments, Json(text).dump());
        EXPECT_EQ(Shown(ParseOutput(Block(inside)).calls), std::vector{expected}) << inside;
        const std::vector<std::string> two = Shown(ParseOutput(Block(inside + "\ncall:g{b:2}")).calls);
        EXPECT_EQ(two.size(), 2u) << inside;
        EXPECT_EQ(two.front(), "!f " + Replaced(place.arguments, Json(text).dump())) << inside;
        EXPECT_EQ(two.back(), "!g {\"b\":2}") << inside;
        CutEverywhere(inside, false);
        ++cases;
      }
    }
  }
  EXPECT_GE(cases, 300);
}

TEST(ToolCallParser, CutAtEveryByte) {
  int cuts = 0;
  for (const Written& written : kWritten) {
    if (!written.calls.empty() && written.text.empty())
      cuts += CutEverywhere(written.inside, written.open_ended);
  }
  EXPECT_GE(cuts, 4000);
}

TEST(ToolCallParser, WhatACutLeaves) {
  const std::pair<std::string, std::string> cuts[] = {
      {"call:f{a:12", R"(!f {"a":null})"},
      {"call:f{a:12,", R"(!f {"a":12})"},
      {"call:f{a:tr", R"(!f {"a":null})"},
      {"call:f{a:<|\"|>Os", R"(!f {"a":"Os"})"},
      {"call:f{a:<|\"|>Oslo<|\"", R"(!f {"a":"Oslo"})"},
      {"call:f{a:<|", R"(!f {"a":null})"},
      {"call:f{a:\"x\\u00", R"(!f {"a":"x"})"},
      {"call:f{a:[1,2", R"(!f {"a":[1,null]})"},
      {"call:f{a:1,b", R"(!f {"a":1,"b":null})"},
      {"call:f{\"a\":1,\"b", R"(!f {"a":1,"b":null})"},
      {"call:f{a:Oslo, Nor", R"(!f {"a":"Oslo"})"},
      {"call:f{a:1}", R"(f {"a":1})"},
      {"call:f{a:1}<tool_c", R"(f {"a":1})"},
      {"call:get_wea", "!get_wea {}"},
      {"call:f{a:\"Z\xC3", R"(!f {"a":"Z"})"},
  };
  for (const auto& [inside, call] : cuts) {
    EXPECT_EQ(Shown(ParseOutput("<|tool_call>" + inside).calls), std::vector{call}) << inside;
  }
  // The model ended its turn itself: the number is whole.
  EXPECT_EQ(Shown(ParseOutput("<|tool_call>call:f{a:12<turn|>").calls),
            std::vector<std::string>{R"(!f {"a":12})"});
  EXPECT_EQ(ParseOutput("<|tool_call>cal").text, "cal");
}

TEST(ToolCallParser, TextOutsideOfABlockStaysText) {
  for (const std::string text : {"call:f{a:1}", "tool_call: call:f{a:1}", R"({"name": "f", "arguments": {}})",
                                 "<tool_call>call:f{a:1}</tool_call>", "|tool_call>call:f{a:1}<tool_call|"}) {
    const ParsedOutput output = ParseOutput(text);
    EXPECT_EQ(output.text, text);
    EXPECT_TRUE(output.calls.empty()) << text;
  }
}

// Twice as long takes about twice as long: with a quadratic reader these take minutes.
TEST(ToolCallParser, LongOnesTakeLinearTime) {
  const auto start = std::chrono::steady_clock::now();
  const std::string pieces[] = {
      "a:\"x,",      "a:'x ",    "a:(,",         "\"",     "\n",   "a:1,",     "call:f{a:\"x}",
      "call:f{a:'x", "a:x\" b,", "<|\"|>x\",b:", "a:[",    "{",    "call:",    "'''x,a:",
      "a:x, y",      "]",        "a:`x]`",       "`,b c:", ",b ,", "a:‘x” b:", "\\"};
  for (const std::string& piece : pieces) {
    std::string text = "<|tool_call>call:f{a:";
    while (text.size() < 1'000'000) text += piece;
    EXPECT_GE(ParseOutput(text).calls.size(), 1u) << piece;
    EXPECT_GE(ParseOutput(text + "<tool_call|>").calls.size(), 1u) << piece;
  }
  std::string keys = "<|tool_call>call:f{";
  for (int i = 0; i < 100'000; ++i) keys += fmt::format("k{}:{},", i, i);
  EXPECT_EQ(ParseOutput(keys).calls.size(), 1u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

}  // namespace
}  // namespace linnet
