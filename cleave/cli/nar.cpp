// cleave nar pack|unpack|ls|cat
#include <filesystem>
#include <unistd.h>

#include <fmt/format.h>

#include "cleave/base/file.h"
#include "cleave/base/internal/fail.h"
#include "cleave/base/mapped_file.h"
#include "cleave/base/text.h"
#include "cleave/cli/context.h"
#include "cleave/cli/input.h"
#include "cleave/cli/output.h"
#include "cleave/cli/progress_bar.h"
#include "cleave/nar/nar_list.h"
#include "cleave/nar/nar_source.h"
#include "cleave/nar/nar_unpack.h"

namespace cleave::cli {

namespace {

namespace fs = std::filesystem;

struct Flags {
  std::string input;
  std::string out;
  std::string path;
  bool force = false;
};

constexpr std::size_t kCopySize = std::size_t{1} << 20;

Result<> copy(ByteSource& from, ByteSink& to, Progress& progress) {
  Buffer buffer;
  buffer.resize(kCopySize);
  for (;;) {
    CLEAVE_TRY(progress.check());
    const std::size_t n = CLEAVE_TRY(from.read(buffer.span()));
    if (n == 0) return {};
    CLEAVE_TRY(to.write(buffer.span().first(n)));
    progress.advance(n);
  }
}

Result<ExitCode> pack(Context& context, const Flags& flags) {
  NarSource nar = CLEAVE_TRY(NarSource::open(flags.input));
  ProgressBar bar(context, "packing");
  bar.estimate({flags.input});
  if (flags.out == "-") {
    if (is_terminal(stdout)) {
      return fail(error(IoError::output_exists, "a terminal; say where to with -o"));
    }
    FileSink sink(STDOUT_FILENO, "standard output");
    CLEAVE_TRY(copy(nar, sink, context.progress));
    return kDone;
  }
  OutputFile file =
      CLEAVE_TRY(OutputFile::create(flags.out, flags.force ? Overwrite::yes : Overwrite::no));
  CLEAVE_TRY(copy(nar, file, context.progress));
  CLEAVE_TRY(file.commit());
  return kDone;
}

std::string_view type_name(FileType type) {
  switch (type) {
    case FileType::regular: return "regular";
    case FileType::directory: return "directory";
    case FileType::symlink: return "symlink";
    case FileType::other: break;
  }
  return "other";
}

Result<ExitCode> unpack(Context& context, const Flags& flags) {
  Input input = CLEAVE_TRY(Input::open(flags.input, context.progress, Input::Counts::yes));
  context.progress.total = input.remaining().value_or(0);
  const ProgressBar bar(context, "unpacking");
  CLEAVE_TRY(unpack_nar(input, flags.out));
  return kDone;
}

Json describe(const NarEntry& entry) {
  Json json;
  put_text(json, "path", entry.path);
  json["type"] = type_name(entry.type);
  if (entry.type == FileType::regular) {
    json["executable"] = entry.executable;
    json["size"] = entry.size;
    json["offset"] = entry.offset;
  }
  if (entry.type == FileType::symlink) put_text(json, "target", entry.target);
  return json;
}

void print_entries(const std::vector<NarEntry>& entries) {
  using enum Table::Align;
  Table table({{"TYPE"}, {"SIZE", right}, {"PATH"}});
  for (const NarEntry& entry : entries) {
    const bool file = entry.type == FileType::regular;
    const char* type = file                              ? (entry.executable ? "exec" : "file")
                       : entry.type == FileType::symlink ? "link"
                                                         : "dir";
    std::string path = entry.path.empty() ? "." : escape(entry.path);
    if (entry.type == FileType::symlink) path += " -> " + escape(entry.target);
    table.row({type, file ? std::to_string(entry.size) : "", path});
  }
  table.print();
}

Result<ExitCode> list(Context& context, const Flags& flags) {
  const Bytes bytes = CLEAVE_TRY(open_bytes(flags.input == "-" ? "/dev/stdin" : flags.input));
  const auto entries = list_nar(bytes.span());
  CLEAVE_TRY(bytes.check());  // before an error that a shrinking file made
  if (!entries) return fail(entries.error());
  if (context.json) {
    Json list = Json::array();
    for (const NarEntry& entry : *entries) list.push_back(describe(entry));
    print_json({{"entries", list}});
  } else {
    print_entries(*entries);
  }
  return kDone;
}

Result<ExitCode> cat(Context& context, const Flags& flags) {
  Input input = CLEAVE_TRY(Input::open(flags.input, context.progress, Input::Counts::yes));
  FileSink sink(STDOUT_FILENO, "standard output");
  CLEAVE_TRY(cat_nar(input, flags.path, sink));
  return kDone;
}

}  // namespace

void register_nar(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* nar =
      add_command(app, "nar", "Make, unpack and look into Nix archives; no store needed");
  nar->require_subcommand(1);
  const auto on_run = [&context](CLI::App* command, auto run) {
    command->callback([&context, run] { context.action = run; });
  };

  CLI::App* pack_command = add_command(*nar, "pack", "Write the NAR of a file, folder or symlink");
  pack_command->add_option("path", flags->input, "File, folder or symlink")
      ->required()
      ->type_name("PATH");
  pack_command->add_option("-o,--output", flags->out, "Where to (default: standard output)")
      ->default_val("-");
  pack_command->add_flag("-f,--force", flags->force, "Replace a file that is there");
  on_run(pack_command, [&context, flags] { return pack(context, *flags); });

  CLI::App* unpack_command = add_command(*nar, "unpack", "Restore what a NAR holds");
  unpack_command->add_option("file", flags->input, "NAR, or - for standard input")
      ->required()
      ->type_name("FILE");
  unpack_command->add_option("-o,--output", flags->out, "Where to; must not exist")->required();
  on_run(unpack_command, [&context, flags] { return unpack(context, *flags); });

  CLI::App* ls_command = add_command(*nar, "ls", "List what a NAR holds");
  ls_command->add_option("file", flags->input, "NAR, or - for standard input")
      ->required()
      ->type_name("FILE");
  ls_command->callback([&context, flags] {
    context.ends_at_once = true;
    context.action = [&context, flags] { return list(context, *flags); };
  });

  CLI::App* cat_command = add_command(*nar, "cat", "Write one file of a NAR to standard output");
  cat_command->add_option("file", flags->input, "NAR, or - for standard input")
      ->required()
      ->type_name("FILE");
  cat_command->add_option("path", flags->path, "Path in the NAR")->required()->type_name("PATH");
  on_run(cat_command, [&context, flags] { return cat(context, *flags); });
}

}  // namespace cleave::cli
