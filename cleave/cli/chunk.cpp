// cleave chunk FILE…
#include <fmt/format.h>

#include "cleave/chunk/chunk_pipeline.h"
#include "cleave/chunk/chunker.h"
#include "cleave/cli/chunking_flags.h"
#include "cleave/cli/context.h"
#include "cleave/cli/input.h"
#include "cleave/cli/output.h"

namespace cleave::cli {

namespace {

struct Flags {
  std::string file;
  ChunkingOptions chunking;
  HashAlgorithm algorithm = HashAlgorithm::sha256;
};

void print_chunks_json(const std::string& file, std::uint64_t size,
                       const std::vector<ChunkDescriptor>& chunks) {
  Json json;
  put_text(json, "file", file);
  json["size"] = size;
  json["chunks"] = Json::array();
  for (const ChunkDescriptor& chunk : chunks) {
    json["chunks"].push_back({{"offset", chunk.offset},
                              {"length", chunk.length},
                              {"hash", to_hex(chunk.hash.span())},
                              {"gear", std::to_string(chunk.gear_hash)}});
  }
  print_json(json);
}

void print_chunks(const std::vector<ChunkDescriptor>& chunks) {
  using enum Table::Align;
  Table table({{"OFFSET", right}, {"LENGTH", right}, {"HASH"}});
  for (const ChunkDescriptor& chunk : chunks) {
    table.row(
        {std::to_string(chunk.offset), std::to_string(chunk.length), to_hex(chunk.hash.span())});
  }
  table.print();
}

Result<ExitCode> run(Context& context, const Flags& flags) {
  Input input = CLEAVE_TRY(Input::open(flags.file, context.progress, Input::Counts::no));
  ChunkPipeline pipeline = CLEAVE_TRY(PipelineBuilder()
                                          .chunking(flags.chunking)
                                          .hash(flags.algorithm)
                                          .executor(context.executor())
                                          .progress(context.progress)
                                          .build());
  std::vector<ChunkDescriptor> chunks;
  std::uint64_t size = 0;
  CLEAVE_TRY(pipeline.run(input, [&](const ProcessedChunk& item) -> Result<> {
    chunks.push_back(describe(item));
    size += chunks.back().length;
    return {};
  }));
  CLEAVE_TRY(input.check_unchanged());
  if (context.json) {
    print_chunks_json(flags.file, size, chunks);
  } else {
    print_chunks(chunks);
  }
  return kDone;
}

}  // namespace

void register_chunk(CLI::App& app, Context& context) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = add_command(app, "chunk", "Print the chunks of a file; stores nothing");
  command->add_option("file", flags->file, "File, or - for standard input")
      ->required()
      ->type_name("FILE");
  const std::map<std::string, HashAlgorithm> algorithms = {{"sha256", HashAlgorithm::sha256},
                                                           {"blake3", HashAlgorithm::blake3}};
  command->add_option("--hash", flags->algorithm, "sha256 (default) or blake3")
      ->transform(CLI::CheckedTransformer(algorithms, CLI::ignore_case))
      ->type_name("ALGORITHM");
  add_chunking_flags(*command, flags->chunking);
  command->callback([&context, flags] {
    context.ends_at_once = true;
    context.action = [&context, flags] { return run(context, *flags); };
  });
}

}  // namespace cleave::cli
