// How results are shown: tables for people, JSON for programs.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "cleave/base/error.h"
#include "cleave/store/format.h"

namespace cleave::cli {

// Objects keep the order of their keys.
using Json = nlohmann::ordered_json;

// One line; text that is not UTF-8 gets replacement characters.
std::string to_text(const Json& json);
void print_json(const Json& json);

// Sets json[key] to `text`; when that is not UTF-8, to its escaped form, with the bytes in
// hexadecimal beside it as "<key>_hex".
void put_text(Json& json, const std::string& key, std::string_view text);

Json to_json(const Artifact& artifact);

// "1.4 MiB", "812 B".
std::string human_size(std::uint64_t bytes);
// "2026-11-20 14:03:59", local time; and in UTC as RFC 3339 has it.
std::string human_time(std::int64_t nanoseconds);
std::string rfc3339_time(std::int64_t nanoseconds);
// 38.2 %
std::string percent(double part, double whole);

// Colours, empty when `file` is not a terminal or NO_COLOR is set.
class Style {
 public:
  explicit Style(std::FILE* file);
  std::string_view bold() const { return on_ ? "\x1b[1m" : ""; }
  std::string_view red() const { return on_ ? "\x1b[31m" : ""; }
  std::string_view reset() const { return on_ ? "\x1b[0m" : ""; }

 private:
  bool on_;
};

bool is_terminal(std::FILE* file);

// A table on standard output with a bold header. Columns are as wide as they need to be.
class Table {
 public:
  enum class Align : bool { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  void print() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace cleave::cli
