// Errors are values. Every function that can fail returns Result<T>; nothing in the library throws
// exceptions of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>
#include <type_traits>
#include <utility>

namespace cleave {

// What a caller does about an error. The command turns it into its exit code.
enum class ErrorClass : std::uint8_t {
  usage,      // the caller asked for something that makes no sense
  malformed,  // the input is not what it claims to be
  io,         // the operating system refused or failed
  store,      // a store is missing, damaged, of another version, or does not hold what was asked
};

// One code of one domain, as `describe(code)` gives it. Each domain is an enum (`IoError`,
// `ChunkingError`, `NarError` …) with an overload of `describe` beside it.
struct ErrorInfo {
  std::string_view domain;  // "io", "nar", …: tells enums apart
  std::string_view name;    // "file_changed": what the text starts with
  ErrorClass error_class;
};

template <class Code>
concept ErrorCode = std::is_enum_v<Code> && requires(Code code) {
  { describe(code) } -> std::same_as<ErrorInfo>;
};

// What went wrong, where, and what to do: a code with fields and a text
// `lowercase_snake_case: key value …`. The text lives inside the object (no heap on the error path)
// and is cut off at kMaxText bytes.
class Error {
 public:
  static constexpr std::size_t kMaxText = 300;

  Error(const ErrorInfo& info, std::uint16_t code) : info_(info), code_(code) { append(info.name); }

  template <ErrorCode Code>
  explicit Error(Code code) : Error(describe(code), static_cast<std::uint16_t>(code)) {}

  std::string_view message() const { return {text_, size_}; }
  std::string_view name() const { return info_.name; }
  std::string_view domain() const { return info_.domain; }
  ErrorClass error_class() const { return info_.error_class; }

  template <ErrorCode Code>
  bool is(Code code) const {
    return info_.domain == describe(code).domain && code_ == static_cast<std::uint16_t>(code);
  }

  // Fields that a program may want; zero where they do not apply.
  int os_error() const { return os_error_; }
  std::uint64_t offset() const { return offset_; }
  std::uint64_t limit() const { return limit_; }

  // Each adds its field and says so in the text.
  Error& with_offset(std::uint64_t offset);
  Error& with_limit(std::uint64_t limit);
  Error& with_os_error(int os_error);
  // "attempted N bytes, limit L bytes": what would have been in use, and the most that may be.
  Error& with_attempt(std::uint64_t attempted_bytes, std::uint64_t limit_bytes);
  // Names the file or object the error is about, escaped and shortened from the left.
  Error& with_subject(std::string_view key, std::string_view subject);

  // Adds free text to the message, behind ": " or ", ".
  Error& append_detail(std::string_view text);

 private:
  ErrorInfo info_;
  std::uint16_t code_;
  std::uint16_t size_ = 0;
  bool has_fields_ = false;
  int os_error_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t limit_ = 0;
  char text_[kMaxText];

  void append(std::string_view text);
  void separate();
};

template <class T = void>
using Result = std::expected<T, Error>;

// Errors of the operating system and of files.
enum class IoError : std::uint16_t {
  io_error,               // a system call failed: see os_error()
  file_changed,           // a file shrank or changed while it was read
  unsupported_file_type,  // a FIFO, socket or device where a file, folder or symlink is needed
  output_exists,          // the output would replace something
  unexpected_end,         // fewer bytes than announced
  interrupted,            // the caller asked to stop
  out_of_memory,
};
ErrorInfo describe(IoError code);

// The value of a result that has one; for CLEAVE_TRY, whose value may be ignored.
template <class T>
T take_value(Result<T>&& result) {
  return *std::move(result);
}
inline void take_value(const Result<>& /*result*/) {}

}  // namespace cleave

// Takes the value out of a Result, or returns its error from the calling function:
//   Bytes bytes = CLEAVE_TRY(read_file(path));
#define CLEAVE_TRY(expression) CLEAVE_TRY_AS(expression, CLEAVE_JOIN(cleave_result_, __COUNTER__))
#define CLEAVE_JOIN(a, b) CLEAVE_JOIN_EXPANDED(a, b)
#define CLEAVE_JOIN_EXPANDED(a, b) a##b
// NOLINTBEGIN(bugprone-macro-parentheses): `result` is a name
#define CLEAVE_TRY_AS(expression, result)                \
  __extension__({                                        \
    auto&& result = (expression);                        \
    if (!result) [[unlikely]]                            \
      return std::unexpected(std::move(result).error()); \
    ::cleave::take_value(std::move(result));             \
  })
// NOLINTEND(bugprone-macro-parentheses)
