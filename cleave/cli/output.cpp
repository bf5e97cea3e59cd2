#include "cleave/cli/output.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <unistd.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "cleave/base/settings.h"
#include "cleave/base/text.h"
#include "cleave/hash/digest.h"

namespace cleave::cli {

namespace {

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

std::time_t to_seconds(std::int64_t nanoseconds) {
  return static_cast<std::time_t>(nanoseconds / kNanosecondsPerSecond);
}

// Columns of a terminal that well-formed UTF-8 takes, near enough: one a code point.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string to_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void print_json(const Json& json) { fmt::print("{}\n", to_text(json)); }

void put_text(Json& json, const std::string& key, std::string_view text) {
  if (is_utf8(text)) {
    json[key] = text;
    return;
  }
  json[key] = escape(text);
  json[key + "_hex"] = to_hex(as_byte_span(text));
}

Json to_json(const Artifact& artifact) {
  const ChunkingOptions& chunking = artifact.chunking;
  Json json = {
      {"name", artifact.name},
      {"kind", artifact.kind == ArtifactKind::folder ? "folder" : "file"},
      {"format", artifact.format == ArtifactFormat::nar ? "nar" : "raw"},
      {"size", artifact.size},
      {"chunks", artifact.chunks},
      {"added", rfc3339_time(artifact.added)},
      {"digest", to_hex(artifact.digest.span())},
  };
  if (artifact.sha256) {
    json["sha256"] = to_hex(artifact.sha256->span());
    if (artifact.format == ArtifactFormat::nar) {
      json["nar_hash"] = "sha256:" + to_nix_base32(artifact.sha256->span());
    }
  }
  json["chunking"] = {{"min", chunking.min_size},
                      {"avg", chunking.avg_size},
                      {"max", chunking.max_size},
                      {"level", chunking.level},
                      {"seed", std::to_string(chunking.seed)}};
  return json;
}

std::string human_size(std::uint64_t bytes) {
  constexpr std::array<const char*, 7> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_time(std::int64_t nanoseconds) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::localtime(to_seconds(nanoseconds)));
}

std::string rfc3339_time(std::int64_t nanoseconds) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z", fmt::gmtime(to_seconds(nanoseconds)),
                     nanoseconds % kNanosecondsPerSecond);
}

std::string percent(double part, double whole) {
  return whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "-";
}

bool is_terminal(std::FILE* file) { return ::isatty(::fileno(file)) == 1; }

Style::Style(std::FILE* file)
    : on_(is_terminal(file) && environment("NO_COLOR").empty() && environment("TERM") != "dumb") {}

void Table::print() const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(width(column.title));
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  const auto line = [&](auto cell_of) {
    std::string out;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string& cell = cell_of(i);
      const std::string padding(widths[i] - width(cell), ' ');
      const bool last = i + 1 == columns_.size();
      if (i > 0) out += "  ";
      if (columns_[i].align == Align::right) out += padding;
      out += cell;
      if (columns_[i].align == Align::left && !last) out += padding;
    }
    return out;
  };
  const Style style(stdout);
  const std::string header =
      line([&](std::size_t i) -> const std::string& { return columns_[i].title; });
  fmt::print("{}{}{}\n", style.bold(), header, style.reset());
  for (const auto& row : rows_) {
    fmt::print("{}\n", line([&](std::size_t i) -> const std::string& { return row[i]; }));
  }
}

}  // namespace cleave::cli
