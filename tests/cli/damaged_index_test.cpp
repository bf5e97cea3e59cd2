// An index that is damaged in any way: every command ends, by itself, with a code that says so, and
// what `get` delivers is right.
#include <cstdint>

#include "tests/cli/cli_test.h"
#include "tests/support/rounds.h"

namespace cleave::test {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPage = 4096;

class DamagedIndex : public CliTest {
 protected:
  DamagedIndex() {
    // Artifacts enough that tables have branches, and some removed, so that there are free pages.
    std::vector<std::string> args = {"add"};
    for (unsigned i = 0; i < 8; ++i) {
      const std::string name = "artifact " + std::to_string(i);
      make(name, text_of(random_bytes(i, 6'000 * i)));
      args.push_back(name);
    }
    done(with_small_chunks(args));
    done({"rm", "artifact 2", "artifact 5"});
    make("new", text_of(random_bytes(77, 20'000)));
    fs::copy(store(), dir() / "whole", fs::copy_options::recursive);
    index = read_file(data());
  }

  // Runs every command on a store whose index is `bytes`.
  void expect_sane(const std::string& bytes, const std::string& what) {
    for (const std::vector<std::string>& args :
         std::vector<std::vector<std::string>>{{"ls"},
                                               {"get", kName, "-o", "out"},
                                               {"stats"},
                                               {"verify"},
                                               {"verify", "--all"},
                                               {"rm", kName},
                                               {"gc", "--max-unused", "0"},
                                               with_small_chunks({"add", "new"})}) {
      restore(bytes);
      ++commands;
      const Outcome outcome =
          cleave(args, {.timeout = std::chrono::seconds(kSanitized ? 100 : 20)});
      EXPECT_TRUE(exits_with_any(outcome, {kDone, kProblems, kMalformed, kFailed}))
          << args[0] << " with " << what;
      if (args[0] == "get") expect_right(outcome, what);
      // What it says it has done must not have cost another artifact.
      const bool wrote = args[0] == "rm" || args[0] == "gc" || args[0] == "add";
      if (wrote && outcome.exit_code == kDone) expect_others(args[0], what);
    }
  }

  void expect_right(const Outcome& outcome, const std::string& what) {
    EXPECT_EQ(fs::exists(at("out")), outcome.exit_code == kDone) << what;
    if (outcome.exit_code != kDone) return;
    ++right;
    EXPECT_TRUE(read_file(at("out")) == read_file(at(kName))) << what;
    fs::remove(at("out"));
  }
  void expect_others(const std::string& command, const std::string& what) {
    for (const char* name : {"artifact 3", "artifact 7"}) {
      const Outcome outcome = cleave({"cat", name});
      EXPECT_TRUE(exits_with_any(outcome, {kDone, kFailed}))
          << command << ", then cat " << name << " with " << what;
      if (outcome.exit_code == kDone) {
        EXPECT_TRUE(outcome.out == read_file(at(name))) << command << " with " << what;
      }
    }
  }
  void restore(const std::string& bytes) {
    fs::remove_all(store() / "packs");
    fs::copy(dir() / "whole/packs", store() / "packs");
    write_file(data(), bytes);
  }

  fs::path data() const { return store() / "index/data.mdb"; }

  static constexpr const char* kName = "artifact 4";
  std::string index;
  int commands = 0;
  int right = 0;
};

TEST_F(DamagedIndex, FlippedBytes) {
  Rng rng(1);
  const std::size_t pages = index.size() / kPage;
  ASSERT_GT(pages, 20u);
  const int cases = rounds(150);
  for (int i = 0; i < cases; ++i) {
    std::string bytes = index;
    std::string what;
    for (std::size_t flips = i % 3 == 0 ? 1 + below(rng, 8) : 1; flips > 0; --flips) {
      // Half of them where a page says what it holds.
      const std::size_t at =
          below(rng, pages) * kPage + below(rng, below(rng, 2) == 0 ? 48 : kPage);
      const auto change =
          static_cast<char>(below(rng, 2) == 0 ? 1U << below(rng, 8) : 1 + below(rng, 255));
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      what += "page " + std::to_string(at / kPage) + " byte " + std::to_string(at % kPage) +
              " xor " + std::to_string(static_cast<unsigned char>(change)) + ", ";
    }
    expect_sane(bytes, what);
  }
  EXPECT_EQ(commands, 8 * cases);
  EXPECT_GT(right, cases / 4);  // most flips are not on the way to any one artifact
}

// The two pages from which all others are found.
TEST_F(DamagedIndex, FlippedBytesOfTheFirstPages) {
  Rng rng(2);
  for (int i = 0; i < rounds(40); ++i) {
    std::string bytes = index;
    const std::size_t offset = below(rng, 152);
    const auto change = static_cast<char>(1U << below(rng, 8));
    const bool both = below(rng, 2) == 0;
    for (const std::size_t page : {std::size_t{0}, std::size_t{1}}) {
      if (both || page == static_cast<std::size_t>(i % 2)) {
        bytes[page * kPage + offset] = static_cast<char>(bytes[page * kPage + offset] ^ change);
      }
    }
    expect_sane(bytes, (both ? "both, byte " : "one, byte ") + std::to_string(offset) + " xor " +
                           std::to_string(static_cast<unsigned char>(change)));
  }
}

TEST_F(DamagedIndex, Truncated) {
  Rng rng(3);
  std::vector<std::size_t> sizes = {1,
                                    100,
                                    kPage - 1,
                                    kPage,
                                    kPage + 100,
                                    2 * kPage,
                                    2 * kPage + 1,
                                    index.size() - 1,
                                    index.size() - kPage};
  while (std::ssize(sizes) < rounds(40)) sizes.push_back(below(rng, index.size()));
  for (const std::size_t size : sizes) {
    expect_sane(index.substr(0, size), std::to_string(size) + " bytes");
  }
}

TEST_F(DamagedIndex, Garbled) {
  Rng rng(4);
  for (int i = 0; i < rounds(40); ++i) {
    std::string bytes = index;
    const std::size_t begin = below(rng, bytes.size());
    const std::size_t size = std::min(1 + below(rng, 2 * kPage), bytes.size() - begin);
    switch (below(rng, 3)) {
      case 0: bytes.replace(begin, size, random_text(rng, size)); break;
      case 1: bytes.replace(begin, size, std::string(size, '\0')); break;
      default: bytes.replace(begin, size, bytes.substr(below(rng, bytes.size() - size), size));
    }
    expect_sane(bytes, std::to_string(size) + " bytes from " + std::to_string(begin));
  }
}

// A page in place of another: each is well-formed, but they do not belong together.
TEST_F(DamagedIndex, SwappedPages) {
  Rng rng(5);
  const std::size_t pages = index.size() / kPage;
  for (int i = 0; i < rounds(30); ++i) {
    std::string bytes = index;
    const std::size_t a = 2 + below(rng, pages - 2);
    const std::size_t b = 2 + below(rng, pages - 2);
    const std::size_t from = below(rng, 2) == 0 ? 0 : 8;  // with the page's own number, or without
    bytes.replace(a * kPage + from, kPage - from, index, b * kPage + from, kPage - from);
    expect_sane(bytes, "page " + std::to_string(b) + " for " + std::to_string(a));
  }
}

}  // namespace
}  // namespace cleave::test
